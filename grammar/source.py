"""Source text and places in it.

A *source* is the text of one Dockerfile as the user wrote it; a *span* is a half-open range of character offsets
into that text. Everything that is parsed keeps its span, so that an error found much later still points at the line.
"""

from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple

# Characters of a line that a message shows; of a longer line, those around the mistake.
_WIDEST = 160


class Span(NamedTuple):
    """The characters ``start <= offset < end`` of a source."""

    start: int
    end: int

    def to(self, other: "Span") -> "Span":
        """Return the smallest span that covers this one and *other*."""
        return Span(min(self.start, other.start), max(self.end, other.end))


class Source:
    """A named text, with line numbers on demand. It stays as it is made."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and (self.name, self.text) == (other.name, other.text)

    def __hash__(self) -> int:
        return hash((self.name, self.text))

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, char in enumerate(self.text) if char == "\n")
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Return (line, column), both counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def lines(self, span: Span) -> range:
        """Return the numbers of the lines that *span* touches."""
        first, _ = self.position(span.start)
        last, _ = self.position(max(span.start, span.end - 1))
        return range(first, last + 1)

    def line(self, number: int) -> str:
        """Return the text of line *number* without its line end."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def excerpt(self, span: Span) -> str:
        """Return the first line of *span* with a ``~~~^`` marker under it; of a very long line, the part around it."""
        line, column = self.position(span.start)
        text = self.line(line)
        if len(text) > _WIDEST:
            cut = max(0, column - _WIDEST // 4)
            text, column = text[cut : cut + _WIDEST], column - cut
        width = max(1, min(span.end - span.start, len(text) - column + 1))
        # A tab of the line stays one, so that the marker is below its text whatever the width of tabs.
        pad = "".join("\t" if char == "\t" else " " for char in text[: column - 1])
        return f"{text}\n{pad}{'~' * (width - 1)}^"
