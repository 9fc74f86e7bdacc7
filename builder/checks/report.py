"""A report of the checks as BuildKit's ``--call=check`` prints it: as text, and as JSON."""

import base64
from typing import Any

from pybuild.builder.checks.check import CheckReport
from pybuild.builder.display.failure import excerpt
from pybuild.builder.display.sanitize import clean
from pybuild.grammar.lint.rules import Violation
from pybuild.grammar.source import Source, Span


def text(report: CheckReport) -> str:
    """Return the report as text: the number of violations and remarks, then each with its place and hint."""
    blocks = [_block(violation, report.source) for violation in report.violations]
    for message, line in report.remarks:
        blocks.append("\n".join([f"\nWARNING: {clean(message)}", *excerpt(report.source, line, line)]) + "\n")
    return _verdict(report) + "".join(blocks)


def _block(violation: Violation, source: Source) -> str:
    rule = violation.rule
    hint = [f"hint: {clean(violation.hint)}"] if violation.hint else []
    lines = source.lines(violation.span)
    head = [f"\nWARNING: {rule.name} - {rule.url}", clean(violation.message), *hint]
    return "\n".join([*head, *excerpt(source, lines.start, lines.stop - 1)]) + "\n"


def _verdict(report: CheckReport) -> str:
    if report.error is not None:
        return ""
    count = len(report.violations) + len(report.remarks)
    if not count:
        return "Check complete, no warnings found.\n"
    return f"Check complete, {count} {'warning has' if count == 1 else 'warnings have'} been found!\n"


def document(report: CheckReport) -> dict[str, Any]:
    """Return the report with BuildKit's field names; ``hint`` is the only one that BuildKit does not have."""
    warnings = [
        {
            "ruleName": violation.rule.name,
            "description": violation.rule.description,
            "url": violation.rule.url,
            "detail": violation.message,
            **({"hint": violation.hint} if violation.hint else {}),
            "location": location(violation.span, report.source),
        }
        for violation in report.violations
    ]
    source = {"filename": report.source.name, "language": "Dockerfile", "data": encoded(report.source)}
    return {"warnings": warnings, "sources": [source], **_error(report)}


def _error(report: CheckReport) -> dict[str, Any]:
    error = report.error
    if error is None:
        # BuildKit reports violations that are errors as a failed build.
        return {"buildError": {"message": report.refusal, "location": {}}} if report.refusal else {}
    place = location(error.span, report.source) if error.span is not None else {}
    return {"buildError": {"message": error.message, "location": place}}


def location(span: Span, source: Source) -> dict[str, Any]:
    """Return the lines of *span* in the form of BuildKit: a range for each."""
    return {"ranges": [{"start": {"line": line}, "end": {"line": line}} for line in source.lines(span)]}


def encoded(source: Source) -> str:
    """Return the text of a Dockerfile in base64."""
    return base64.b64encode(source.text.encode(errors="surrogatepass")).decode()
