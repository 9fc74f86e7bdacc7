"""Text measured in columns of a terminal, not in characters."""

import unicodedata


def width(text: str) -> int:
    """Return how many columns *text* takes; it must be one line without tabs or control characters."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def cut(text: str, columns: int) -> str:
    """Return the longest start of *text* that fits into *columns*."""
    if text.isascii():
        return text[: max(0, columns)]
    used = 0
    for index, char in enumerate(text):
        used += _columns(char)
        if used > columns:
            return text[:index]
    return text


def aligned(left: str, right: str, columns: int) -> str:
    """Return *left* cut or padded so that *right* ends at column *columns*."""
    room = columns - width(right)
    left = cut(left, room)
    return left + " " * (room - width(left)) + right


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
