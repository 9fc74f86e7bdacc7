"""The result of ``${name...}`` once its parts are known; the rules and messages are BuildKit's.

The patterns of ``${v#p}``, ``${v%p}`` and ``${v/p/r}`` have ``*`` and ``?``, a backslash escapes, and there are no
brackets. A pattern is a row of *segments* between its stars; a segment has a fixed length. Placing each segment as far
left as possible finds the shortest match, placing the last one as far right as possible the longest. Nothing
backtracks, so malicious patterns cost no more than others.
"""

import re
from functools import lru_cache

RESULT_LIMIT = 1 << 20
"""Characters of the result of one expansion."""

_ANY = None
_Segment = tuple[str | None, ...]
_Segments = tuple[_Segment, ...]


class BadWordError(Exception):
    """The word violates a rule, which the message names; the hint says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TooMuchError(Exception):
    """The word exceeds a limit; never converted into another error."""


def choose(name: str, value: str | None, kind: str, word: str, *, empty_is_unset: bool) -> str:
    """Return the result of ``-w``, ``+w`` and ``?w``; *value* is None when the variable is unset.

    Raises:
        BadWordError: the variable must be set, and is not.
    """
    missing = value is None or (empty_is_unset and not value)
    if kind == "-":
        return word if missing else value or ""
    if kind == "+":
        return "" if missing else word
    if missing:
        state = "unset" if value is None else "empty"
        hint = f"set {name} above with ARG or ENV, or with --build-arg {name}=..."
        raise BadWordError(f"{name}: {word or f'is not allowed to be {state}'}", hint)
    return value or ""


def stripped(value: str, kind: str, word: str) -> str:
    """Return the result of ``#p`` and ``%p``, or of the doubled forms when *word* starts with the sign again.

    Raises:
        BadWordError: the pattern has an unknown escape.
    """
    longest = word.startswith(kind)
    segments = _segments(word[1:] if longest else word)
    if kind == "#":
        end = _match_end(segments, value, 0, longest=longest)
        return value if end is None else value[end:]
    # The same, on reversed text.
    backwards = tuple(segment[::-1] for segment in reversed(segments))
    end = _match_end(backwards, value[::-1], 0, longest=longest)
    return value if end is None else value[: len(value) - end]


def replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """Return the result of ``/p/r`` and ``//p/r``, for which each match is as long as possible.

    Raises:
        BadWordError: the pattern has an unknown escape.
        TooMuchError: the result would be too long.
    """
    # Without a star every match has the same length.
    segments = _segments(pattern)
    if len(segments) == 1:
        return _replace_fixed(value, segments[0], replacement, every=every)
    # The longest match of a pattern with a star extends as far as possible, so there is never a second one.
    start = _find(segments[0], value, 0)
    end = None if start is None else _match_end(segments, value, start, longest=True)
    if start is None or end is None:
        return value
    _check_size(len(value) - (end - start) + len(replacement))
    return value[:start] + replacement + value[end:]


def _replace_fixed(value: str, segment: _Segment, replacement: str, *, every: bool) -> str:
    regex = _regex(segment)
    count = sum(1 for _ in regex.finditer(value)) if every else 1
    # Counted before the result is made, which could be much longer than the value.
    _check_size(len(value) + count * (len(replacement) - len(segment)))
    return regex.sub(lambda _: replacement, value, count=0 if every else 1)


def _check_size(size: int) -> None:
    if size > RESULT_LIMIT:
        raise TooMuchError("the result is larger than 1 MiB")


def _match_end(segments: _Segments, value: str, start: int, *, longest: bool) -> int | None:
    """Return the end of a match that starts exactly at *start*."""
    first, *rest = segments
    if _find(first, value[start : start + len(first)], 0) is None:
        return None
    end = start + len(first)
    for segment in rest:
        found = _find(segment, value, end)
        if found is None:
            return None
        end = found + len(segment)
    if rest and longest:
        return _last_end(rest[-1], value)
    return end


def _find(segment: _Segment, value: str, start: int) -> int | None:
    if _ANY not in segment:
        found = value.find("".join(char for char in segment if char), start)
        return None if found < 0 else found
    match = _regex(segment).search(value, start)
    return match.start() if match else None


def _last_end(segment: _Segment, value: str) -> int:
    """Return the end of the last match of *segment*, which is known to exist."""
    found = _find(segment[::-1], value[::-1], 0)
    return len(value) - (found or 0)


@lru_cache(maxsize=64)
def _regex(segment: _Segment) -> re.Pattern[str]:
    return re.compile("".join("." if char is _ANY else re.escape(char) for char in segment), re.DOTALL)


def _segments(pattern: str) -> _Segments:
    segments: list[list[str | None]] = [[]]
    chars = iter(pattern)
    for char in chars:
        if char == "*":
            segments.append([])
        elif char == "?":
            segments[-1].append(_ANY)
        else:
            segments[-1].append(char if char != "\\" else _escaped(next(chars, ""), pattern))
    return tuple(tuple(segment) for segment in segments)


def _escaped(char: str, pattern: str) -> str:
    if not char or char not in "*?\\}/":
        hint = "in a pattern, use a backslash only before * ? / } or another backslash"
        raise BadWordError(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{char}'", hint)
    return char
