"""A report of the checks in SARIF 2.1.0, which code scanning services read."""

from typing import Any
from urllib.parse import quote

from pybuild.builder.checks.check import CheckReport
from pybuild.grammar.lint.rules import RULES, Rule, Violation
from pybuild.grammar.source import Source, Span

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def document(report: CheckReport, path: str) -> dict[str, Any]:
    """Return the report; *path* is the path of the Dockerfile for the reader."""
    uri = quote(path)
    run = {
        "tool": {"driver": {"name": "pybuild", "rules": [_rule(rule) for rule in RULES]}},
        # The columns of a Source are counted in Python's characters, which are code points.
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, uri)],
        "results": [_result(violation, report, uri) for violation in report.violations],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.description},
        "helpUri": rule.url,
        "defaultConfiguration": {"enabled": not rule.experimental, "level": "warning"},
    }


def _result(violation: Violation, report: CheckReport, uri: str) -> dict[str, Any]:
    # Viewers show only the message, so it includes the hint.
    text = f"{violation.message} (hint: {violation.hint})" if violation.hint else violation.message
    return {
        "ruleId": violation.rule.name,
        "ruleIndex": RULES.index(violation.rule),
        "level": "error" if report.options.error else "warning",
        "message": {"text": text},
        "locations": [_location(violation.span, report.source, uri)],
    }


def _invocation(report: CheckReport, uri: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [{"level": "note", "message": {"text": note}} for note in report.notes]
    if report.error is not None:
        span = report.error.span
        place = {"locations": [_location(span, report.source, uri)]} if span is not None else {}
        found.append({"level": "error", "message": {"text": report.error.message}, **place})
    notices = {"toolExecutionNotifications": found} if found else {}
    return {"executionSuccessful": report.error is None, **notices}


def _location(span: Span, source: Source, uri: str) -> dict[str, Any]:
    line, column = source.position(span.start)
    last, end = source.position(span.end)
    region = {"startLine": line, "startColumn": column, "endLine": last, "endColumn": end}
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}
