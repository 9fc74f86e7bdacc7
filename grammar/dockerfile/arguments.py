"""The arguments of one instruction, as the grammar splits them, and reading values from them."""

from collections.abc import Callable
from typing import TypedDict

from pybuild.grammar.dockerfile import forms
from pybuild.grammar.dockerfile.flags import Flags
from pybuild.grammar.dockerfile.logical_lines import Line, Piece, split_first
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.hints import form
from pybuild.grammar.nodes import CommandLine, Heredoc, ShellForm, Word
from pybuild.grammar.parse_go import parse_duration, parse_int32, quote
from pybuild.grammar.source import Span
from pybuild.runtime.values import frozen


class Facts(TypedDict):
    """The fields that every node has."""

    span: Span
    original: str
    comment: str


class Pairs(TypedDict):
    """The fields of a node with names and values; *legacy* for one pair without an equals sign."""

    pairs: tuple[tuple[Word, Word], ...]
    legacy: bool


@frozen
class Arguments:
    """*keyword* is in capitals, for messages. With *exec_form* the one piece is a JSON array of strings."""

    line: Line
    keyword: str
    flags: Flags
    pieces: tuple[Piece, ...]
    exec_form: bool = False

    @property
    def facts(self) -> Facts:
        """The span, text and comment of the instruction."""
        return Facts(span=self.line.span, original=self.line.text, comment=self.line.comment)

    def error(self, message: str, span: Span | None = None, hint: str = "") -> DockerfileError:
        """Return the error for the text at *span*, or for the whole instruction."""
        return DockerfileError(message, span or self.line.span, hint)

    def list(self) -> tuple[Piece, ...]:
        """Return the words, which may be written as a JSON array."""
        if self.exec_form:
            return forms.elements(self.pieces[0])
        if self.pieces:
            forms.reject_other_arrays(self.rest(self.pieces[0]))
        return self.pieces

    def rest(self, first: Piece) -> Piece:
        """Return the line from the piece *first* on."""
        return Piece(self.line.text[first.start :], first.start, self.line)

    def text(self) -> Piece:
        """Return the single argument."""
        return self.pieces[0]

    def command(self, skip: int = 0) -> CommandLine:
        """Return the command after *skip* words; "" for none."""
        pieces = self.pieces[skip:]
        return forms.command(pieces[0], exec_form=self.exec_form) if pieces else ShellForm("")

    def sources(self) -> tuple[Word | Heredoc, ...]:
        """Return the words, each ``<<NAME`` among them replaced by its heredoc."""
        found: list[Word | Heredoc] = []
        bodies = {} if self.exec_form else {body.start: body for body in self.line.bodies}
        covered = -1
        for piece in self.list():
            # A marker with spaces, as in "<< EOF", is several words: those up to its end are skipped.
            if body := bodies.get(piece.start):
                found.append(body.heredoc)
                covered = body.end
            elif piece.start >= covered:
                found.append(piece.word())
        return tuple(found)

    def words(self) -> tuple[Word, ...]:
        """Return all arguments as words."""
        return tuple(piece.word() for piece in self.pieces)

    def pairs(self) -> Pairs:
        """Return the fields of ENV and LABEL."""
        if "=" not in self.pieces[0].text:
            return Pairs(pairs=(self._legacy_pair(),), legacy=True)
        return Pairs(pairs=tuple(map(self._pair, self.pieces)), legacy=False)

    def _legacy_pair(self) -> tuple[Word, Word]:
        rest = self.rest(self.pieces[0])
        key, start = split_first(rest.text)
        if start == len(rest.text):
            raise self.error(f"{self.keyword} must have two arguments", rest.span, form(self.keyword.lower()))
        value = Piece(rest.text[start:], rest.start + start, self.line)
        return Piece(key, rest.start, self.line).word(), value.word()

    def _pair(self, piece: Piece) -> tuple[Word, Word]:
        key, value = piece.cut("=")
        if value is None:
            message = f"Syntax error - can't find = in {quote(piece.text)}. Must be of the form: name=value"
            raise self.error(message, piece.span, "put quotes around a value with spaces")
        if not key.text:
            raise self.error(f"{self.keyword} names can not be blank", piece.span, form(self.keyword.lower()))
        return key.word(), value.word()

    def duration(self, name: str) -> int:
        """Return the nanoseconds of a flag, 0 when it is missing."""
        # Docker's limit. In an image 0 means that the default of the engine is used.
        nanoseconds = self._number(name, parse_duration)
        if nanoseconds and nanoseconds < 1_000_000:
            raise self.error(f'Interval "{name}" cannot be less than 1ms', self._flag_span(name))
        return nanoseconds

    def count(self, name: str) -> int:
        """Return the number that a flag gives, 0 when it is missing."""
        number = self._number(name, parse_int32)
        if number < 0:
            raise self.error(f"--{name} cannot be negative ({number})", self._flag_span(name))
        return number

    def _number(self, name: str, parse: Callable[[str], int]) -> int:
        word = self.flags.text(name)
        try:
            return parse(word.text) if word else 0
        except ValueError as error:
            hint = "write a number and its unit, such as 30s or 1m30s" if parse is parse_duration else ""
            raise self.error(str(error), self._flag_span(name), hint) from None

    def _flag_span(self, name: str) -> Span | None:
        word = self.flags.text(name)
        return word.span if word else None
