"""The patterns of ``${v#p}``, ``${v%p}`` and ``${v/p/r}``: ``*`` and ``?``, a backslash escapes, no brackets.

A pattern is a row of *segments* between its stars; a segment has a fixed length. Placing each segment as far left as
possible finds the shortest match, placing the last one as far right as possible the longest. Nothing backtracks, so
malicious patterns cost no more than others.
"""

import re
from functools import lru_cache

_ANY = None
_Segment = tuple[str | None, ...]
_Segments = tuple[_Segment, ...]


def strip_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """Return *value* without the shortest or longest start that matches. Raises ValueError for a bad escape."""
    end = _match_end(_segments(pattern), value, 0, longest=longest)
    return value if end is None else value[end:]


def strip_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """Return *value* without the shortest or longest end that matches: the same, on reversed text."""
    backwards = tuple(segment[::-1] for segment in reversed(_segments(pattern)))
    end = _match_end(backwards, value[::-1], 0, longest=longest)
    return value if end is None else value[: len(value) - end]


def replace(value: str, pattern: str, replacement: str, *, every: bool, limit: int) -> str:
    """Replace the first match, or all, taking each as long as possible.

    Raises:
        ValueError: the pattern has a bad escape.
        OverflowError: the result would exceed *limit* characters.
    """
    # Without a star every match has the same length.
    segments = _segments(pattern)
    if len(segments) == 1:
        return _replace_fixed(value, segments[0], replacement, every=every, limit=limit)
    # The longest match of a pattern with a star extends as far as possible, so there is never a second one.
    start = _find(segments[0], value, 0)
    end = None if start is None else _match_end(segments, value, start, longest=True)
    if start is None or end is None:
        return value
    _check(len(value) - (end - start) + len(replacement), limit)
    return value[:start] + replacement + value[end:]


def _replace_fixed(value: str, segment: _Segment, replacement: str, *, every: bool, limit: int) -> str:
    regex = _regex(segment)
    count = sum(1 for _ in regex.finditer(value)) if every else 1
    # Counted before the result is made, which could be much longer than the value.
    _check(len(value) + count * (len(replacement) - len(segment)), limit)
    return regex.sub(lambda _: replacement, value, count=0 if every else 1)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise OverflowError


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
            segments[-1].append(char if char != "\\" else _escaped(next(chars, "")))
    return tuple(tuple(segment) for segment in segments)


def _escaped(char: str) -> str:
    if not char or char not in "*?\\}/":
        raise ValueError(f"invalid escape '\\{char}'")
    return char
