"""Physical lines to logical lines: comments, continuations and heredocs are handled here, before the grammar.

None of the three is context-free in a useful way: a comment may be inside a continued instruction, and a heredoc body
starts where the instruction with its marker ends. One pass, linear in the size of the text. Every limit on the size of
a Dockerfile is enforced here.
"""

from pybuild.grammar import MAX_TEXT
from pybuild.grammar.dockerfile.directives import read_directives
from pybuild.grammar.dockerfile.heredocs import Marker, find_markers
from pybuild.grammar.dockerfile.logical_lines import Body, Line
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.nodes import Directive, Heredoc
from pybuild.grammar.parse_go import SPACE
from pybuild.grammar.source import Span
from pybuild.runtime.values import frozen

MAX_ROW = 65535
"""Bytes in one physical line: Docker's limit, the buffer of Go's bufio.Scanner."""
MAX_LINE = 256 << 10
"""Characters in one instruction. An argument of execve has at most 128 KiB, so no RUN needs more."""
MAX_INSTRUCTIONS = 20_000

_BOM = "\ufeff"
_Marks = list[tuple[int, int]]


@frozen
class Reading:
    """The directives and logical lines of a text, the input of the grammar."""

    lines: tuple[Line, ...]
    directives: tuple[Directive, ...]
    escape: str
    warnings: tuple[tuple[str, Span], ...]


def read_lines(text: str, escape: str = "\\") -> Reading:
    """Split *text* into logical lines; *escape* is used unless a directive chooses another.

    Raises:
        DockerfileError: a limit is exceeded, a directive is invalid, a heredoc has no end, or there is a NUL.
    """
    _check_size(text)
    return _Reader(text, escape).read()


def _check_size(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise DockerfileError(f"the Dockerfile is larger than {MAX_TEXT >> 20} MiB")
    if (nul := text.find("\0")) >= 0:
        raise DockerfileError("invalid character NUL", Span(nul, nul + 1))


class _Reader:
    """A cursor over the physical lines (*rows*, without their line feed)."""

    def __init__(self, text: str, escape: str) -> None:
        self._escape = escape
        # Editors of Windows write one at the start of a file. Offsets count it, since they are those of the text.
        self._offset = len(_BOM) if text.startswith(_BOM) else 0
        self._rows = text[self._offset :].split("\n")
        # A line feed ends the last row and does not start another one.
        if not self._rows[-1]:
            self._rows.pop()
        self._next = 0
        self._lines: list[Line] = []
        self._warnings: list[tuple[str, Span]] = []

    def read(self) -> Reading:
        opening = read_directives(self._rows, self._offset)
        self._escape = opening.escape or self._escape
        for _ in range(opening.rows):
            self._take()
        self._read_all()
        return Reading(
            lines=tuple(self._lines),
            directives=opening.directives,
            escape=self._escape,
            warnings=tuple(self._warnings),
        )

    def _read_all(self) -> None:
        comments: list[str] = []
        while self._more():
            row, offset = self._take()
            text = row.strip(SPACE)
            if text.startswith("#"):
                comments.append(text[1:].strip(SPACE))
                continue
            if text:
                self._read_instruction(row, offset, "\n".join(comments))
            comments.clear()

    def _more(self) -> bool:
        return self._next < len(self._rows)

    def _take(self) -> tuple[str, int]:
        """Return the next row without carriage returns at its end, and its offset."""
        row, offset = self._rows[self._next], self._offset
        self._next += 1
        self._offset += len(row) + 1
        # Counting characters first keeps the common case cheap.
        if len(row) * 4 > MAX_ROW and (size := len(row.encode(errors="surrogatepass"))) > MAX_ROW:
            hint = f"line {self._next} has {size} bytes; continue it on a new line after a {self._escape}"
            message = f"dockerfile line greater than max allowed size of {MAX_ROW}"
            raise DockerfileError(message, Span(offset, offset + len(row)), hint)
        return row.rstrip("\r"), offset

    def _read_instruction(self, row: str, offset: int, comment: str) -> None:
        text, marks = self._join(row, offset)
        line = _trimmed(text, tuple(marks))
        if not line.text:
            return
        if len(self._lines) >= MAX_INSTRUCTIONS:
            raise DockerfileError(f"the Dockerfile has more than {MAX_INSTRUCTIONS} instructions", line.span)
        bodies = tuple(self._read_body(line, marker) for marker in find_markers(line.text))
        # With heredocs the instruction ends with the line of the last end mark, without its line feed.
        end = self._offset - 1 if bodies else line.span.end
        span = Span(line.span.start, end)
        self._lines.append(Line(text=line.text, span=span, marks=line.marks, comment=comment, bodies=bodies))

    def _join(self, row: str, offset: int) -> tuple[str, _Marks]:
        """Join *row* with the rows that continue it. Comments among them are dropped, white space is kept."""
        text, continued = self._continuation(row)
        parts, marks, size = [text], [(0, offset)], len(text)
        while continued and self._more():
            row, offset = self._take()
            bare = row.lstrip(SPACE)
            # A comment, or an empty line, does not end a continued instruction, as in Docker.
            if bare.startswith("#"):
                continue
            if not bare:
                self._warnings.append(("NoEmptyContinuation", Span(offset, offset + len(row))))
                continue
            text, continued = self._continuation(row)
            marks.append((size, offset))
            parts.append(text)
            size += len(text)
            if size > MAX_LINE:
                start = marks[0][1]
                raise DockerfileError(f"instruction longer than {MAX_LINE >> 10} KiB", Span(start, start + 1))
        return "".join(parts), marks

    def _continuation(self, row: str) -> tuple[str, bool]:
        """Return *row* without the escape that ends it, and whether there was one; a doubled escape does not count."""
        bare = row.rstrip(" \t")
        if bare.endswith(self._escape) and not bare.endswith(self._escape * 2):
            return bare[:-1], True
        return row, False

    def _read_body(self, line: Line, marker: Marker) -> Body:
        rows: list[str] = []
        while self._more():
            row, _ = self._take()
            if marker.ends_at(row):
                return _body(line, marker, "".join(rows))
            # The body keeps its line ends, including carriage returns, which `_take` has removed from *row*.
            rows.append(self._rows[self._next - 1] + "\n")
        hint = f'end it with a line "{marker.name}"'
        raise DockerfileError("unterminated heredoc", line.place(marker.start, marker.end), hint)


def _trimmed(text: str, marks: tuple[tuple[int, int], ...]) -> Line:
    bare = text.strip(SPACE)
    lead = len(text) - len(text.lstrip(SPACE))
    line = Line(text=bare, span=Span(0, 0), marks=tuple((here - lead, there) for here, there in marks))
    return Line(text=bare, span=line.place(0, len(bare)), marks=line.marks)


def _body(line: Line, marker: Marker, raw: str) -> Body:
    heredoc = Heredoc(
        name=marker.name,
        body=marker.body(raw),
        raw=raw,
        expand=marker.expand,
        strip_tabs=marker.strip_tabs,
        fd=marker.fd,
        span=line.place(marker.start, marker.end),
    )
    return Body(heredoc=heredoc, start=marker.start, end=marker.end, raw=raw)
