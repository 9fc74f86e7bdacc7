r"""File name patterns as in Go's ``filepath.Match``: the wildcards of COPY and ADD.

``*`` and ``?`` do not match a slash, ``[a-z]`` and ``[^a-z]`` are classes, ``\`` escapes. Only the last star is ever
retried, so no pattern costs more than length of pattern times length of name.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class BadPattern(ValueError):
    """A pattern that cannot match anything: an open class, a lone escape at the end."""

    def __init__(self) -> None:
        super().__init__("syntax error in pattern")


class Wild(Enum):
    """The wildcards."""

    STAR = "*"
    ANY = "?"


@dataclass(frozen=True, slots=True)
class CharClass:
    """``[a-z]``: the characters in, or with *negated* not in, one of the ranges."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def accepts(self, char: str) -> bool:
        """Tell whether the class holds *char*."""
        return any(low <= char <= high for low, high in self.ranges) != self.negated


Token = str | Wild | CharClass


def match(pattern: str, name: str) -> bool:
    """Tell whether *pattern* matches the whole of *name*.

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


def has_wildcard(text: str) -> bool:
    """Tell whether *text* is a pattern rather than a name: an escaped wildcard does not count."""
    chars = iter(text)
    for char in chars:
        if char in "*?[":
            return True
        if char == "\\":
            next(chars, None)
    return False


def accepts(token: Token, char: str) -> bool:
    """Tell whether *token*, anything but a star, matches *char*."""
    if isinstance(token, str):
        return token == char
    if isinstance(token, CharClass):
        return token.accepts(char)
    return char != "/"


@lru_cache(maxsize=256)
def parse_pattern(pattern: str) -> tuple[Token, ...]:
    """Return the tokens of *pattern*, a plain character standing for itself.

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
    return _char(pattern, position)


def _char(pattern: str, position: int) -> tuple[str, int]:
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
    if pattern[position : position + 1] in ("", "-", "]"):
        raise BadPattern
    return _char(pattern, position)
