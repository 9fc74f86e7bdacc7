r"""`.dockerignore`: which paths of a build context stay away from the build, in the way of moby/patternmatcher.

Patterns are anchored at the root of the context. ``*`` and ``?`` stay within a name, ``**`` spans folders, ``!`` takes
back what an earlier line ignored; the last line that matches a path *or one of its parent folders* decides. A trailing
slash means nothing.
"""

import operator
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial

from grammar.errors import DockerfileError
from grammar.golang import SPACE
from grammar.patterns import BadPattern, CharClass, Token, Wild, accepts, parse_pattern
from grammar.source import Span

_BOM = "\ufeff"
# Above these a pattern is matched state by state: Python's regular expressions could take exponential time.
_MOST_STARS = 3
_MOST_SPANS = 1


class _Span(Enum):
    """What ``**`` becomes: any number of whole folders, or at the end of a pattern simply everything."""

    FOLDERS = "(?:.*/)?"
    REST = ".*"


_Token = Token | _Span


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One line; *prefix* is what its paths begin with, all of the pattern when *literal*."""

    negated: bool
    prefix: str
    literal: bool
    matches: Callable[[str], bool]


class IgnoreFile:
    """The rules of one file. Paths are relative to the context, with slashes, without ``.`` and ``..``."""

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self._rules = rules
        self._nothing = (False,) * len(rules)
        self._folders = {"": self._nothing}

    @classmethod
    def parse(cls, text: str) -> "IgnoreFile":
        """Read the lines of a file.

        Raises:
            DockerfileError: a pattern is malformed; the span is that of the line in *text*.
        """
        return cls(tuple(_rules(text)))

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "IgnoreFile":
        """Take *patterns* as they are: where they stand, in a flag, nothing is a comment.

        Raises:
            DockerfileError: a pattern is malformed; there is no span.
        """
        bare = (pattern.strip(SPACE) for pattern in patterns)
        return cls(tuple(_rule(pattern, None) for pattern in bare if pattern))

    @property
    def has_exceptions(self) -> bool:
        """Whether a ``!`` line takes something back."""
        return any(rule.negated for rule in self._rules)

    def ignores(self, path: str, *, is_dir: bool = False) -> bool:  # noqa: ARG002 - no pattern depends on it
        """Tell whether *path* is left out; a folder and a file of that name are treated alike, as in Docker."""
        if path in {"", "."}:
            return False
        parent, _, _ = path.rpartition("/")
        return self._decide(path, self._hits(parent))[0]

    def may_descend(self, path: str) -> bool:
        """Tell whether something below the ignored folder *path* could still be taken back by a ``!`` line."""
        inside = path + "/"
        return any(rule.negated and _could_reach(rule, inside) for rule in self._rules)

    def _hits(self, folder: str) -> tuple[bool, ...]:
        """Return which rules hit *folder* or a parent of it; remembered, so that a walk asks each folder once."""
        if folder in self._folders:
            return self._folders[folder]
        hits, path = self._nothing, ""
        for name in folder.split("/"):
            path = f"{path}/{name}" if path else name
            if path not in self._folders:
                self._folders[path] = self._decide(path, hits)[1]
            hits = self._folders[path]
        return hits

    def _decide(self, path: str, inherited: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        # A rule that could change nothing is not asked and counts as no hit, also for what is below. That is the
        # behaviour of the original: "a/x" and then "!a" does not take back a/x.
        ignored = False
        hits: list[bool] = []
        for rule, above in zip(self._rules, inherited, strict=True):
            hit = above or (rule.negated is ignored and rule.matches(path))
            hits.append(hit)
            if hit:
                ignored = not rule.negated
        return ignored, tuple(hits)


def _could_reach(rule: _Rule, inside: str) -> bool:
    if rule.literal:
        return f"{rule.prefix}/".startswith(inside)
    return rule.prefix.startswith(inside) or inside.startswith(rule.prefix)


def _rules(text: str) -> Iterator[_Rule]:
    offset = len(_BOM) if text.startswith(_BOM) else 0
    for row in text[offset:].split("\n"):
        pattern = row.strip(SPACE)
        if pattern and not row.startswith("#"):
            yield _rule(pattern, Span(offset, offset + len(row.rstrip("\r"))))
        offset += len(row) + 1


def _rule(line: str, span: Span | None) -> _Rule:
    negated = line.startswith("!")
    pattern = _cleaned(line[1:].strip(SPACE) if negated else line)
    if negated and pattern in {"", "/"}:
        raise DockerfileError('illegal exclusion pattern: "!"', span)
    try:
        tokens = tuple(_with_spans(parse_pattern(pattern)))
    except BadPattern as error:
        raise DockerfileError(str(error), span) from None
    plain = _leading_text(tokens)
    return _Rule(negated=negated, prefix=plain, literal=len(plain) == len(tokens), matches=_matcher(pattern, tokens))


def _cleaned(pattern: str) -> str:
    if not pattern:
        return ""
    clean = posixpath.normpath(pattern)
    return clean.lstrip("/") or "/" if clean.startswith("/") else clean


def _with_spans(tokens: tuple[Token, ...]) -> Iterator[_Token]:
    position = 0
    while position < len(tokens):
        token: _Token = tokens[position]
        position += 1
        if token is Wild.STAR and tokens[position : position + 1] == (Wild.STAR,):
            # The slash behind ** belongs to it.
            position += 1 + (tokens[position + 1 : position + 2] == ("/",))
            token = _Span.FOLDERS if position < len(tokens) else _Span.REST
        yield token


def _leading_text(tokens: tuple[_Token, ...]) -> str:
    count = next((at for at, token in enumerate(tokens) if not isinstance(token, str)), len(tokens))
    return _text(tokens[:count])


def _text(tokens: tuple[_Token, ...]) -> str:
    return "".join(token for token in tokens if isinstance(token, str))


def _matcher(pattern: str, tokens: tuple[_Token, ...]) -> Callable[[str], bool]:
    """Choose the cheapest way to match; most lines of real files are plain names or ``**/name``."""
    text = _text(tokens)
    wild = [token for token in tokens if not isinstance(token, str)]
    if not wild:
        return partial(operator.eq, text)
    if wild == [_Span.REST]:
        return partial(_starts_with, text)
    # **name without a slash matches the end of a name: a quirk of the original.
    if wild == [_Span.FOLDERS] and tokens[0] is _Span.FOLDERS and "\\" not in pattern:
        return partial(_ends_with, pattern[2:])
    if wild.count(Wild.STAR) > _MOST_STARS or wild.count(_Span.FOLDERS) > _MOST_SPANS:
        return partial(_walk_states, tokens)
    return partial(_fully, re.compile("".join(map(_regex, tokens)), re.DOTALL))


def _starts_with(prefix: str, path: str) -> bool:
    return path.startswith(prefix)


def _ends_with(suffix: str, path: str) -> bool:
    return path.endswith(suffix) or (suffix.startswith("/") and path == suffix[1:])


def _fully(regex: re.Pattern[str], path: str) -> bool:
    return regex.fullmatch(path) is not None


def _regex(token: _Token) -> str:
    if isinstance(token, str):
        return re.escape(token)
    if isinstance(token, _Span):
        return token.value
    if isinstance(token, CharClass):
        ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in token.ranges if low <= high)
        return f"[{'^' if token.negated else ''}{ranges}]" if ranges else ("." if token.negated else "(?!)")
    return "[^/]*" if token is Wild.STAR else "[^/]"


def _walk_states(tokens: tuple[_Token, ...], path: str) -> bool:
    """Follow all ways through the pattern at once: time is length of pattern times length of path at most."""
    states = set(_entered(tokens, 0))
    for char in path:
        states = {after for state in states for after in _step(tokens, state, char)}
    return len(tokens) in states


def _entered(tokens: tuple[_Token, ...], state: int) -> Iterator[int]:
    """Return *state* and those that follow without a character."""
    yield state
    while state < len(tokens) and (tokens[state] is Wild.STAR or isinstance(tokens[state], _Span)):
        state += 1
        yield state


def _step(tokens: tuple[_Token, ...], state: int, char: str) -> Iterator[int]:
    token = tokens[state] if state < len(tokens) else ""
    if token is _Span.FOLDERS:
        # Inside a row of folders only a slash leads on.
        yield state
        if char == "/":
            yield from _entered(tokens, state + 1)
    elif token is _Span.REST or (token is Wild.STAR and char != "/"):
        yield from _entered(tokens, state)
    elif not isinstance(token, _Span) and token is not Wild.STAR and accepts(token, char):
        yield from _entered(tokens, state + 1)
