r"""File name patterns as in Go's ``filepath.Match``: the wildcards of COPY and ADD.

``*`` and ``?`` do not match a slash, ``[a-z]`` and ``[^a-z]`` are classes, ``\`` escapes. Only the last star is ever
retried, so no pattern costs more than length of pattern times length of name.
"""

import operator
import re
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache, partial
from typing import NamedTuple


class BadPattern(ValueError):
    """A malformed pattern: an open class, or an escape at the end."""

    def __init__(self) -> None:
        super().__init__("syntax error in pattern")


class Wild(Enum):
    """The wildcards."""

    STAR = "*"
    ANY = "?"


class CharClass(NamedTuple):
    """``[a-z]``: the characters in, or with *negated* not in, one of the ranges."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def accepts(self, char: str) -> bool:
        """Return whether the class contains *char*."""
        return any(low <= char <= high for low, high in self.ranges) != self.negated


Token = str | Wild | CharClass
Matches = Callable[[str], bool]


def match(pattern: str, name: str) -> bool:
    """Return whether *pattern* matches the whole of *name*.

    Raises:
        BadPattern: the pattern is malformed.
    """
    tokens = parse_pattern(pattern)
    at, here = 0, 0
    star, retry = -1, 0
    while here < len(name) or at < len(tokens):
        if at < len(tokens) and tokens[at] is Wild.STAR:
            star, retry = at, here
            at += 1
        elif at < len(tokens) and here < len(name) and accepts(tokens[at], name[here]):
            at, here = at + 1, here + 1
        elif star >= 0 and retry < len(name) and name[retry] != "/":
            retry += 1
            at, here = star + 1, retry
        else:
            return False
    return True


def name_matcher(tokens: Sequence[Token]) -> Matches:
    """Return a function that matches *tokens* against a whole name: text without a slash.

    Each star but the last matches as little as possible and is never retried, so the cost is at most the length of the
    name times that of the pattern.
    """
    first, *others = _between_stars(tokens)
    if not others:
        return partial(operator.eq, literal(first)) if _is_literal(first) else _whole(first)
    if len(others) == 1 and _is_literal(first) and _is_literal(others[0]):
        return _with_ends(literal(first), literal(others[0]))
    if len(others) == 1:
        return _whole(tokens)
    return partial(_match_in_turn, _compiled(first), [_compiled(part) for part in others[:-1]], _compiled(others[-1]))


def literal(tokens: Sequence[object]) -> str:
    """Return the literal characters of *tokens*."""
    return "".join(token for token in tokens if isinstance(token, str))


def regex(token: Token) -> str:
    """Return the regular expression of a token."""
    if isinstance(token, str):
        return re.escape(token)
    if isinstance(token, CharClass):
        # A range whose ends are in the wrong order matches nothing in Go, and is an error of `re`.
        ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in token.ranges if low <= high)
        return f"[{'^' if token.negated else ''}{ranges}]" if ranges else ("." if token.negated else "(?!)")
    return "[^/]*" if token is Wild.STAR else "[^/]"


def _between_stars(tokens: Sequence[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token is Wild.STAR:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _is_literal(tokens: Sequence[Token]) -> bool:
    return all(isinstance(token, str) for token in tokens)


def _with_ends(start: str, end: str) -> Matches:
    if not start:
        return operator.methodcaller("endswith", end)
    if not end:
        return operator.methodcaller("startswith", start)
    return partial(_has_ends, start, end)


def _has_ends(start: str, end: str, name: str) -> bool:
    return len(name) >= len(start) + len(end) and name.startswith(start) and name.endswith(end)


def regex_matcher(expression: str) -> Matches:
    """Return a function that matches a regular expression against a whole text."""
    return partial(_fully, re.compile(expression, re.DOTALL))


def _whole(tokens: Sequence[Token]) -> Matches:
    return regex_matcher("".join(map(regex, tokens)))


def _fully(expression: re.Pattern[str], text: str) -> bool:
    return expression.fullmatch(text) is not None


def _compiled(tokens: Sequence[Token]) -> tuple[re.Pattern[str], int]:
    """Return the expression of tokens without a star, and how many characters it takes."""
    return re.compile("".join(map(regex, tokens)), re.DOTALL), len(tokens)


def _match_in_turn(
    first: tuple[re.Pattern[str], int],
    middle: Sequence[tuple[re.Pattern[str], int]],
    last: tuple[re.Pattern[str], int],
    name: str,
) -> bool:
    """Match the parts between stars one after the other, each as early as possible; the last one at the end."""
    here, end = first[1], len(name) - last[1]
    if here > end or not first[0].match(name) or not last[0].match(name, end):
        return False
    for expression, _ in middle:
        found = expression.search(name, here, end)
        if found is None:
            return False
        here = found.end()
    return True


def has_wildcard(text: str) -> bool:
    """Return whether *text* is a pattern rather than a name: an escaped wildcard does not count."""
    chars = iter(text)
    for char in chars:
        if char in "*?[":
            return True
        if char == "\\":
            next(chars, None)
    return False


def accepts(token: Token, char: str) -> bool:
    """Return whether *token*, anything but a star, matches *char*."""
    if isinstance(token, str):
        return token == char
    if isinstance(token, CharClass):
        return token.accepts(char)
    return char != "/"


@lru_cache(maxsize=256)
def parse_pattern(pattern: str) -> tuple[Token, ...]:
    """Return the tokens of *pattern*; a plain character is its own token.

    Raises:
        BadPattern: the pattern is malformed.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(pattern):
        token, position = _token(pattern, position)
        tokens.append(token)
    return tuple(tokens)


def _token(pattern: str, position: int) -> tuple[Token, int]:
    char = pattern[position]
    if char == "*":
        return Wild.STAR, position + 1
    if char == "?":
        return Wild.ANY, position + 1
    if char == "[":
        return _char_class(pattern, position + 1)
    return _read_char(pattern, position)


def _read_char(pattern: str, position: int) -> tuple[str, int]:
    """Read one character that may be escaped."""
    position += pattern.startswith("\\", position)
    if position >= len(pattern):
        raise BadPattern
    return pattern[position], position + 1


def _char_class(pattern: str, position: int) -> tuple[CharClass, int]:
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and pattern.startswith("]", position)):
        low, position = _class_char(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_char(pattern, position + 1)
        ranges.append((low, high))
    return CharClass(tuple(ranges), negated), position + 1


def _class_char(pattern: str, position: int) -> tuple[str, int]:
    # filepath.Match of Go refuses these at the start of a range, unless they are escaped.
    if pattern[position : position + 1] in ("", "-", "]"):
        raise BadPattern
    return _read_char(pattern, position)
