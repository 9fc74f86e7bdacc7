"""Logical lines and parts of them, with their positions in the source.

A *logical line* is one instruction: its physical lines joined, without comments and continuations. A *piece* is a part
of it that the grammar recognised. Both have offsets in the joined text; spans always refer to the source.
"""

import re
from bisect import bisect_right

from pybuild.grammar.nodes import Heredoc, Word
from pybuild.grammar.source import Span
from pybuild.runtime.values import frozen, positional, replace

WHITE = "\t\v\f\r "
"""The characters that separate words; other spaces of Unicode may be part of a file name."""

_GAP = re.compile(f"[{WHITE}]+")


def split_first(text: str) -> tuple[str, int]:
    """Return the first word of *text* and the offset of the next one."""
    gap = _GAP.search(text)
    return (text[: gap.start()], gap.end()) if gap else (text, len(text))


@frozen
class Body:
    """A heredoc and its position in the logical line; *raw* is the body with its tabs."""

    heredoc: Heredoc
    start: int
    end: int
    raw: str


@frozen
class Line:
    """One instruction. *marks* are pairs (offset in text, offset in source), ascending; none: all of it is *span*."""

    text: str
    span: Span
    marks: tuple[tuple[int, int], ...] = ()
    comment: str = ""
    bodies: tuple[Body, ...] = ()

    def place(self, start: int, end: int) -> Span:
        """Return the span in the source of the characters from *start* to *end*."""
        if not self.marks or not self.text:
            return self.span
        # An empty part, as at the end of the line, is shown as one character.
        start = min(start, len(self.text) - 1)
        return Span(self._source(start), self._source(max(start, end - 1)) + 1)

    def _source(self, offset: int) -> int:
        here, there = self.marks[bisect_right(self.marks, offset, key=lambda mark: mark[0]) - 1]
        return there + offset - here

    def tail(self, start: int) -> "Line":
        """Return the line without its first *start* characters."""
        moved = tuple((here - start, there) for here, there in self.marks)
        bodies = tuple(replace(body, start=body.start - start, end=body.end - start) for body in self.bodies)
        span = Span(self.place(start, start).start, self.span.end)
        return replace(self, text=self.text[start:], span=span, marks=moved, bodies=bodies)


@positional
class Piece:
    """A part of a logical line; *width* counts the characters as written where the text is already decoded."""

    text: str
    start: int
    line: Line
    width: int | None = None

    @property
    def end(self) -> int:
        """The offset after the piece."""
        return self.start + (len(self.text) if self.width is None else self.width)

    @property
    def span(self) -> Span:
        """The span in the source."""
        return self.line.place(self.start, self.end)

    def word(self, *, literal: bool = False) -> Word:
        """Return the piece as a word of the syntax tree."""
        return Word(self.text, self.span, literal)

    def cut(self, separator: str) -> tuple["Piece", "Piece | None"]:
        """Split at the first *separator*; None when there is none."""
        before, found, after = self.text.partition(separator)
        if not found:
            return self, None
        return Piece(before, self.start, self.line), Piece(after, self.start + len(before) + len(found), self.line)
