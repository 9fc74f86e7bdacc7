"""The lexer of `grammar.words.expand`: one pass over a word that resolves quotes, escapes and variables.

The rules and messages are those of BuildKit's shell lexer. Every character is read once; the value of a variable is not
read again, so ``$A`` cannot add new variables. Depth and amount of work are bounded.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import lru_cache

from pybuild.grammar import hints
from pybuild.grammar.words.substitution import RESULT_LIMIT, BadWordError, TooMuchError, choose, replaced, stripped

_DEPTH_LIMIT = 100  # far below Python's recursion limit, which counts the callers as well
# Characters of values that one expansion may process: a short result may be cut out of many long values.
_WORK_LIMIT = 16 * RESULT_LIMIT
_SPECIAL_NAMES = "@*#?-$!0"  # parameters of the shell, of which a name is one character
_MODIFIERS = "-+?#%"

_FORMS_HINT = f"use {hints.SUBSTITUTIONS}"

Lookup = Callable[[str], str | None]


class Kind(Enum):
    """The origin of a part of a word: only plain text and variables may be split at spaces."""

    PLAIN = "plain"
    VARIABLE = "variable"
    QUOTED = "quoted"
    ESCAPED = "escaped"


Part = tuple[Kind, str, int]
"""(kind, resolved text, offset in the word)."""


class Lexer:
    """Reads one word. Without *lookup* variables stay as written, but quotes and escapes are removed."""

    def __init__(self, text: str, lookup: Lookup | None, *, escape: str, quotes: bool = True) -> None:
        self._text = text
        self._lookup = lookup
        self._escape = escape
        self._quotes = quotes
        self._position = 0
        self._depth = 0
        self._work = 0
        self.names: set[str] = set()

    def parts(self) -> list[Part]:
        """Return the resolved pieces of the whole word, in order.

        Raises:
            BadWordError: a quote, brace or modifier is malformed, or a required variable is not set.
            TooMuchError: the result, the nesting or the work exceeds its limit.
        """
        return self._until("")

    def _until(self, stop: str, *, keep_escapes: bool = False) -> list[Part]:
        found: list[Part] = []
        size = 0
        while (char := self._peek()) and char != stop:
            start = self._position
            piece = self._piece(char, stop, keep_escapes=keep_escapes)
            size += len(piece[1])
            if size > RESULT_LIMIT:
                raise TooMuchError("the result is larger than 1 MiB")
            found.append((*piece, start))
        if stop and not char:
            raise BadWordError(f"unexpected end of statement while looking for matching {stop}")
        self._position += len(stop)
        return found

    def _piece(self, char: str, stop: str, *, keep_escapes: bool) -> tuple[Kind, str]:
        if char == "$":
            return Kind.VARIABLE, self._variable()
        if char == self._escape:
            return Kind.ESCAPED, self._escaped(keep=keep_escapes)
        if self._quotes and char == "'":
            return Kind.QUOTED, self._single_quoted()
        if self._quotes and char == '"':
            return Kind.QUOTED, self._double_quoted(keep_escapes=keep_escapes)
        return Kind.PLAIN, self._run(_match_plain(self._escape, stop, quotes=self._quotes))

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _take(self) -> str:
        char = self._peek()
        self._position += 1
        return char

    def _run(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._position)
        run = match[0] if match else ""
        self._position += len(run)
        return run

    def _escaped(self, *, keep: bool) -> str:
        # An escape at the very end is dropped.
        escape, char = self._take(), self._take()
        return (escape if keep else "") + char

    def _single_quoted(self) -> str:
        start = self._position + 1
        end = self._text.find("'", start)
        if end < 0:
            self._position = len(self._text)
            raise BadWordError(
                "unexpected end of statement while looking for matching single-quote",
                hints.quote_mark("'", self._escape),
            )
        self._position = end + 1
        return self._text[start:end]

    def _double_quoted(self, *, keep_escapes: bool) -> str:
        self._position += 1
        parts: list[str] = []
        size = 0
        while (char := self._peek()) and char != '"':
            part = self._inside_double_quotes(char, keep_escapes=keep_escapes)
            size += len(part)
            if size > RESULT_LIMIT:
                raise TooMuchError("the result is larger than 1 MiB")
            parts.append(part)
        if not char:
            message = "unexpected end of statement while looking for matching double-quote"
            raise BadWordError(message, hints.quote_mark('"', self._escape))
        self._position += 1
        return "".join(parts)

    def _inside_double_quotes(self, char: str, *, keep_escapes: bool) -> str:
        if char == "$":
            return self._variable()
        if char != self._escape:
            return self._run(_double(self._escape))
        self._position += 1
        following = self._peek()
        if not following:
            return char if keep_escapes else ""
        # Inside double quotes the escape is special only before these three; elsewhere it stays.
        if following in ('"', "$", self._escape):
            self._position += 1
            return (char if keep_escapes else "") + following
        return char * 2 if keep_escapes else char

    def _variable(self) -> str:
        start = self._position
        self._position += 1
        if self._peek() != "{":
            name = self._name()
            value = (self._value(name) or "") if name else "$"
        else:
            self._position += 1
            value = self._braced()
        return value if self._lookup is not None else self._text[start : self._position]

    def _name(self) -> str:
        char = self._peek()
        if char.isdecimal():
            return self._run(_DIGITS)
        if char and char in _SPECIAL_NAMES:
            return self._take()
        return self._run(_NAME)

    def _value(self, name: str) -> str | None:
        self.names.add(name)
        value = self._lookup(name) if self._lookup is not None else None
        self._charge(len(value or ""))
        return value

    def _charge(self, work: int) -> None:
        self._work += work
        if self._work > _WORK_LIMIT:
            raise TooMuchError("the variables in it are too long")

    def _braced(self) -> str:
        if not (char := self._peek()):
            raise BadWordError("syntax error: missing '}'", hints.brace(self._escape))
        if char in "{}:":
            raise BadWordError("syntax error: bad substitution", hints.brace(self._escape))
        name = self._name()
        modifier = self._take()
        if modifier == "}":
            return self._value(name) or ""
        if not modifier:
            raise BadWordError("syntax error: missing '}'", hints.brace(self._escape))
        if modifier == "/":
            return self._replaced(name)
        return self._modified(name, modifier)

    def _modified(self, name: str, modifier: str) -> str:
        colon = modifier == ":"
        kind = self._take() if colon else modifier
        shown = f":{kind}" if colon else kind
        if (colon and kind and kind in "#%") or (not colon and kind not in _MODIFIERS):
            raise BadWordError(f"unsupported modifier ({shown}) in substitution", _FORMS_HINT)
        word = self._nested("}", "syntax error: missing '}'", keep_escapes=kind in {"#", "%"})
        if not kind or kind not in _MODIFIERS:
            raise BadWordError(f"unsupported modifier ({shown}) in substitution", _FORMS_HINT)
        value = self._value(name)
        if self._lookup is None:
            return ""
        if kind in "#%":
            self._charge(len(value or "") * (1 + len(word) // 32))
            return stripped(value or "", kind, word)
        return choose(name, value, kind, word, empty_is_unset=colon)

    def _nested(self, stop: str, at_the_end: str, *, keep_escapes: bool) -> str:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise TooMuchError(f"substitutions are nested more than {_DEPTH_LIMIT} deep")
        try:
            found = self._until(stop, keep_escapes=keep_escapes)
        except BadWordError:
            # At the end of the word, the missing end is the mistake to report, whatever else is wrong.
            if self._position >= len(self._text):
                raise BadWordError(at_the_end, _FORMS_HINT) from None
            raise
        self._depth -= 1
        return "".join(text for _, text, _ in found)

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        self._position += every
        pattern = self._nested("/", "syntax error: missing '/' in ${}", keep_escapes=True)
        replacement = self._nested("}", "syntax error: missing '}'", keep_escapes=True)
        value = self._value(name) or ""
        if self._lookup is None:
            return ""
        self._charge(len(value) * (1 + len(pattern) // 32))
        return replaced(value, pattern, replacement, every=every)


_DIGITS = re.compile(r"\d+")
_NAME = re.compile(r"\w*")


@lru_cache
def _match_plain(escape: str, stop: str, *, quotes: bool) -> re.Pattern[str]:
    """Match text without a special character; in a heredoc body quotes are not special."""
    special = "$" + escape + stop + ("'\"" if quotes else "")
    return re.compile(f"[^{re.escape(special)}]+")


@lru_cache
def _double(escape: str) -> re.Pattern[str]:
    return re.compile(f'[^"${re.escape(escape)}]+')
