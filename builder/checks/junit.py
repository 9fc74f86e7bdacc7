"""A report of the checks as JUnit XML, which CI services read: a test case for each rule, or for each violation."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pybuild.builder.checks.check import CheckReport
from pybuild.builder.checks.warnings import line_of
from pybuild.builder.display.sanitize import clean
from pybuild.grammar.lint.rules import RULES, Rule, Violation

# XML 1.0 cannot represent these characters, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(report: CheckReport, path: str) -> str:
    """Return the report; *path* is the path of the Dockerfile for the reader."""
    cases = list(_cases(report, _safe(path)))
    counts = {
        "tests": str(len(cases)),
        "failures": str(len(report.violations)),
        "errors": str(int(report.error is not None)),
    }
    root = Element("testsuites", counts)
    suite = SubElement(root, "testsuite", {"name": _safe(path)} | counts)
    suite.extend(cases)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cases(report: CheckReport, path: str) -> Iterator[Element]:
    for violation in report.violations:
        yield _failed(violation, line_of(violation, report.source), path)
    if report.error is not None:
        case = Element("testcase", {"classname": path, "name": "Dockerfile"})
        SubElement(case, "error", {"message": _safe(report.error.message)})
        yield case
    broken = {violation.rule for violation in report.violations}
    yield from (_passed(rule, report, path) for rule in RULES if rule not in broken)


def _failed(violation: Violation, line: int, path: str) -> Element:
    case = Element("testcase", {"classname": path, "name": f"{violation.rule.name} (line {line})"})
    failure = SubElement(case, "failure", {"type": violation.rule.name, "message": _safe(violation.message)})
    hint = [f"hint: {violation.hint}"] if violation.hint else []
    failure.text = _safe("\n".join([f"{path}:{line}", *hint, violation.rule.url]))
    return case


def _passed(rule: Rule, report: CheckReport, path: str) -> Element:
    case = Element("testcase", {"classname": path, "name": rule.name})
    # After a mistake it is unknown what the rules would have found.
    if report.error is not None or not report.options.counts(rule):
        SubElement(case, "skipped")
    return case


def _safe(text: str) -> str:
    return _NOT_XML.sub("\ufffd", clean(text))
