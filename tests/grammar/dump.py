"""A readable, stable picture of a syntax tree for the golden files, every place as line:column."""

from dataclasses import fields, is_dataclass
from enum import Enum

from pybuild.grammar.nodes import Dockerfile, Word
from pybuild.grammar.source import Source, Span


def dump(dockerfile: Dockerfile, source: Source) -> str:
    """Return the directives, the warnings and one block per instruction; fields that hold nothing are left out."""
    rows = [f"directive {d.key} = {d.value!r}  {_place(d.span, source)}" for d in dockerfile.directives]
    rows += [f"warning {rule}  {_place(span, source)}" for rule, span in dockerfile.warnings]
    for instruction in dockerfile.instructions:
        rows.append(f"{type(instruction).__name__}  {_place(instruction.span, source)}")
        rows += _fields(instruction, source, "  ")
    return "\n".join(rows) + "\n"


def _fields(node: object, source: Source, indent: str) -> list[str]:
    rows: list[str] = []
    for field in fields(node):  # type: ignore[arg-type]
        value = getattr(node, field.name)
        if field.name not in {"span", "raw"} and value not in (None, "", (), False, 0):
            rows += _show(field.name, value, source, indent)
    return rows


def _show(name: str, value: object, source: Source, indent: str) -> list[str]:
    if isinstance(value, tuple) and not all(isinstance(item, str) for item in value):
        rows = [f"{indent}{name}:"]
        for item in value:
            rows += _show("-", item, source, indent + "  ")
        return rows
    if is_dataclass(value) and not isinstance(value, Word):
        place = f"  {_place(value.span, source)}" if hasattr(value, "span") else ""
        return [f"{indent}{name} {type(value).__name__}{place}", *_fields(value, source, indent + "  ")]
    return [f"{indent}{name}: {_plain(value, source)}"]


def _plain(value: object, source: Source) -> str:
    if isinstance(value, Word):
        return f"{value.text!r}{' literal' if value.literal else ''}  {_place(value.span, source)}"
    return repr(value.value) if isinstance(value, Enum) else repr(value)


def _place(span: Span, source: Source) -> str:
    (line, column), (last, end) = source.position(span.start), source.position(span.end)
    return f"@{line}:{column}-{end}" if line == last else f"@{line}:{column}-{last}:{end}"
