"""Rows of a listing, as a table, as JSON or through a template."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self, TypeVar

from pybuild.builder.display.text_width import width

if TYPE_CHECKING:
    # Imported for a --format: the plain table needs no templates.
    from pybuild.builder.cli.format.template import Template

Row = Mapping[str, str]
T = TypeVar("T")


class LabelText(str):
    """Labels as a listing shows them, ``a=1,b=2``. *by_name* has the value of each, for ``{{.Label "a"}}``."""

    __slots__ = ("by_name",)
    by_name: Mapping[str, str]

    def __new__(cls, labels: Iterable[tuple[str, str]]) -> Self:
        """Return the text of *labels* in their order."""
        pairs = tuple(labels)
        made = super().__new__(cls, ",".join(f"{name}={value}" for name, value in pairs))
        made.by_name = dict(pairs)
        return made


_GAP = 3
_NARROWEST = 10


def listing(rows: Iterable[Row], headers: Mapping[str, str], columns: Sequence[str], template: str | None) -> str:
    """Return the text of *rows* without a newline at its end.

    *headers* maps each field that a template may use to its title, *columns* are the fields of the plain table.
    """
    if template in {None, "", "table"}:
        return table([[headers[name] for name in columns], *([row[name] for name in columns] for row in rows)])
    from pybuild.builder.cli.format.template_text import TemplateError

    try:
        return filled(rows, headers, str(template))
    except TemplateError as error:
        from click import UsageError

        raise UsageError(str(error)) from error


def filled(rows: Iterable[Row], headers: Mapping[str, str], template: str) -> str:
    """Return what *template* makes of *rows*, as for `listing`. Raises TemplateError for the user's mistakes."""
    from pybuild.builder.cli.format.template import Template
    from pybuild.builder.cli.format.template_functions import TemplateRow, as_json

    if template == "json":
        return "\n".join(as_json(TemplateRow(row)) for row in rows)
    text = template.replace("\\t", "\t").replace("\\n", "\n")
    line = Template(text.removeprefix("table ").strip() if text.startswith("table ") else text)
    lines = [line.render(TemplateRow(row)) for row in rows]
    if text.startswith("table "):
        return table([each.split("\t") for each in (line.render_titles(headers), *lines)])
    return "\n".join(lines)


def inspected(
    documents: Sequence[T], template: str | None, in_template: Callable[[T], object] = lambda document: document
) -> Iterable[str]:
    """Return the texts that ``inspect`` prints, each with a newline after it.

    That is an array of JSON, on one line for the template ``json``, else what *template* says of each document, of
    which it sees what *in_template* returns.
    """
    if not template:
        return (json.dumps(documents, indent=4, ensure_ascii=False),)
    if template == "json":
        from pybuild.builder.cli.format.template_functions import as_json

        return (as_json(documents),)
    from pybuild.builder.cli.failures import TEMPLATE

    asked = parsed(template, TEMPLATE)
    return [rendered(asked, in_template(document)) for document in documents]


def rendered(template: "Template", value: object) -> str:
    """Return the output of *template* for *value*. A missing field is the user's mistake: RequestError."""
    from pybuild.builder.cli.format.template_text import TemplateError

    try:
        return template.render(value)
    except TemplateError as error:
        from click import UsageError

        raise UsageError(str(error)) from error


def parsed(text: str, code: int | None = None) -> "Template":
    """Return the template that the user wrote. *code* is the exit code for one that cannot be parsed, None for 2."""
    from pybuild.builder.cli.format.template import Template
    from pybuild.builder.cli.format.template_text import TemplateError

    try:
        return Template(text)
    except TemplateError as error:
        from click import UsageError

        class WrongTemplate(UsageError):
            exit_code = code or UsageError.exit_code

        raise WrongTemplate(str(error)) from error


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return *rows* in columns as wide as their widest cell, at least ten characters, three spaces apart."""
    count = max(map(len, rows), default=0)
    widths = [max(width(row[i]) if i < len(row) else 0 for row in rows) for i in range(count)]
    lines = []
    for row in rows:
        cells = [cell + " " * (max(widths[i] + _GAP, _NARROWEST) - width(cell)) for i, cell in enumerate(row[:-1])]
        lines.append("".join([*cells, *row[-1:]]))
    return "\n".join(lines)
