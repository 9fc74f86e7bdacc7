"""Expansion of words: variables replaced, quotes and escapes resolved, by the rules of BuildKit.

One pass: the value of a variable is not expanded again. The forms are ``$v ${v}``, ``${v:-w} ${v-w}``,
``${v:+w} ${v+w}``, ``${v:?m} ${v?m}``, ``${v#p} ${v##p} ${v%p} ${v%%p}``, ``${v/p/r} ${v//p/r}``; ``w``, ``p`` and
``r`` are words themselves. An unset variable is the empty string.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Instruction, Word
from pybuild.grammar.parse_go import SPACE, quote
from pybuild.grammar.source import Span
from pybuild.grammar.words.lexer import Kind, Lexer, Lookup, Part
from pybuild.grammar.words.substitution import BadWordError, TooMuchError
from pybuild.runtime.values import fields

_SPLIT = re.compile(f"[{SPACE}]+")


def expand(word: Word, scope: Mapping[str, str], *, escape: str = "\\") -> str:
    """Return the text of *word* with the variables of *scope*; spaces do not split it.

    Raises:
        DockerfileError: the word is malformed, a required variable is missing, or the result exceeds 1 MiB.
    """
    if _is_plain(word, escape):  # as most words are
        return word.text
    return _join(_resolve(word.text, scope.get, word.span, escape=escape))


def expand_all(word: Word, scope: Mapping[str, str], *, escape: str = "\\") -> tuple[str, ...]:
    """Return the words of *word*, split at unquoted spaces, including those in values of variables."""
    if word.literal:
        return (word.text,)
    return _split(_resolve(word.text, scope.get, word.span, escape=escape))


def expand_body(text: str, scope: Mapping[str, str], span: Span, *, escape: str = "\\") -> str:
    """Return a heredoc body with its variables replaced. Quotes stay; an escape is removed and quotes one character.

    In bodies BuildKit always uses the backslash as escape, whatever the ``escape`` directive.
    """
    if "$" not in text and escape not in text:
        return text
    return _join(_resolve(text, scope.get, span, escape=escape, quotes=False))


def variables(text: str, *, escape: str = "\\", quotes: bool = True) -> frozenset[str]:
    """Return the names of the variables in *text*, also inside substitutions, up to the first mistake.

    Without *quotes* the text is a heredoc body, where quotes have no meaning.
    """
    lexer = Lexer(text, None, escape=escape, quotes=quotes)
    with suppress(BadWordError, TooMuchError):
        lexer.parts()
    return frozenset(filter(None, lexer.names))


def words_of(node: Instruction) -> Iterator[Word]:
    """Yield the words of *node*, however deep in its fields."""
    return _words(tuple(getattr(node, each.name) for each in fields(node)))


def _words(value: object) -> Iterator[Word]:
    if isinstance(value, Word):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _words(item)


def _is_plain(word: Word, escape: str) -> bool:
    text = word.text
    return word.literal or not ("$" in text or '"' in text or "'" in text or escape in text)


def _resolve(text: str, lookup: Lookup, span: Span, *, escape: str, quotes: bool = True) -> list[Part]:
    try:
        return Lexer(text, lookup, escape=escape, quotes=quotes).parts()
    except (BadWordError, TooMuchError) as error:
        hint = error.hint if isinstance(error, BadWordError) else ""
        raise DockerfileError(f"failed to process {quote(text)}: {error}", span, hint) from None


def _join(parts: list[Part]) -> str:
    return "".join(text for _, text, _ in parts)


def _split(parts: list[Part]) -> tuple[str, ...]:
    words: list[str] = []
    current: list[str] = []
    for kind, text, _ in parts:
        if kind in (Kind.QUOTED, Kind.ESCAPED):
            current.append(text)
            continue
        first, *rest = _SPLIT.split(text)
        current.append(first)
        for part in rest:
            words.append("".join(current))
            current = [part]
    words.append("".join(current))
    # As in BuildKit, an empty quoted text is not a word of its own.
    return tuple(word for word in words if word)
