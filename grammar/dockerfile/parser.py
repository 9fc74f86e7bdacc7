"""From the text of a Dockerfile to the syntax tree of `grammar.nodes`. The public functions of the package."""

from collections.abc import Iterator

from pybuild.grammar.dockerfile.lines import read_lines
from pybuild.grammar.dockerfile.logical_lines import Line, split_first
from pybuild.grammar.dockerfile.syntax import read_instruction
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.hints import TRIGGER
from pybuild.grammar.nodes import Arg, Dockerfile, From, Instruction, Onbuild
from pybuild.grammar.source import Source, Span

# Far above any real file: each stage costs memory, and a lookup of its base before anything is built.
MAX_STAGES = 1000

_BEGIN = "start with FROM"
_NO_TRIGGERS = ("FROM", "MAINTAINER")
_TRIGGER_ESCAPE = "\\"
"""A trigger is part of an image, which does not record the escape directive of its Dockerfile."""


def parse(source: Source) -> Dockerfile:
    """Parse a Dockerfile. Everything that does not depend on values of variables is checked.

    Raises:
        DockerfileError: the first mistake, with its span. No text raises another exception.
    """
    dockerfile, mistake = parse_prefix(source)
    if mistake is not None:
        raise mistake
    return dockerfile


def parse_prefix(source: Source) -> tuple[Dockerfile, DockerfileError | None]:
    """Parse up to the first mistake; return the part before it, and the mistake."""
    if not source.text:
        return Dockerfile(instructions=()), DockerfileError("the Dockerfile cannot be empty", hint=_BEGIN)
    try:
        reading = read_lines(source.text)
    except DockerfileError as mistake:
        return Dockerfile(instructions=()), mistake
    if not reading.lines:
        return Dockerfile(instructions=()), DockerfileError("file with no instructions", hint=_BEGIN)
    instructions: list[Instruction] = []
    found: DockerfileError | None = None
    # `extend` takes the instructions one by one, and keeps those before a mistake.
    try:
        instructions.extend(_read_all(reading.lines, reading.escape))
    except DockerfileError as mistake:
        found = mistake
    whole = Dockerfile(
        instructions=tuple(instructions),
        directives=reading.directives,
        escape=reading.escape,
        warnings=reading.warnings,
    )
    return whole, found


def parse_trigger(text: str, span: Span, escape: str = _TRIGGER_ESCAPE) -> Instruction:
    """Parse the text of an ONBUILD trigger of a base; *span* is that of it and its mistakes.

    Raises:
        DockerfileError: the text is not one instruction, or not one that may be a trigger.
    """
    return _read_trigger(_only_line(text, span, escape, "onbuild trigger should be a single expression"), escape)


def parse_change(text: str, span: Span, escape: str = "\\") -> Instruction:
    """Parse a single instruction, which may be ONBUILD; *span* is that of it and its mistakes.

    Raises:
        DockerfileError: the text is not one instruction.
    """
    line = _only_line(text, span, escape, "expected a single instruction")
    return _checked(line, escape, read_instruction(line, escape))


def _only_line(text: str, span: Span, escape: str, problem: str) -> Line:
    """Return the only line of *text*; every part of it has the span *span*. Raises DockerfileError."""
    try:
        lines = read_lines(text, escape).lines
    except DockerfileError as error:
        raise DockerfileError(error.message, span, error.hint) from None
    if len(lines) != 1:
        raise DockerfileError(problem, span)
    return Line(text=lines[0].text, span=span, comment=lines[0].comment, bodies=lines[0].bodies)


def _read_all(lines: tuple[Line, ...], escape: str) -> Iterator[Instruction]:
    stages = 0
    for line in lines:
        instruction = _checked(line, escape, read_instruction(line, escape))
        stages += isinstance(instruction, From)
        if not stages and not isinstance(instruction, Arg):
            raise DockerfileError("no build stage in current context", line.span, _BEGIN)
        if stages > MAX_STAGES:
            raise DockerfileError(f"the Dockerfile has more than {MAX_STAGES} stages", line.span)
        yield instruction
    if not stages:
        raise DockerfileError("dockerfile contains no stages to build", hint=_BEGIN)


def _checked(line: Line, escape: str, instruction: Instruction) -> Instruction:
    """Return what *line* says. Raises DockerfileError when it is a trigger that cannot be parsed."""
    # Parsed here as well, so that a mistake is found where it is made, and not in the builds on this image.
    if isinstance(instruction, Onbuild):
        first = instruction.trigger.split("\n", 1)[0]
        _read_trigger(line.tail(len(line.text) - len(first)), escape)
    return instruction


def _read_trigger(line: Line, escape: str) -> Instruction:
    name, _ = split_first(line.text)
    if name.upper() == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", line.place(0, len(name)), TRIGGER)
    if name.upper() in _NO_TRIGGERS:
        message = f"{name.upper()} isn't allowed as an ONBUILD trigger"
        raise DockerfileError(message, line.place(0, len(name)), TRIGGER)
    return read_instruction(line, escape)
