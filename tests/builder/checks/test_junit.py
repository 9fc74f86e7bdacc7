"""A report of the checks as JUnit XML."""

from xml.etree import ElementTree as ET

from pybuild.builder.checks import junit
from pybuild.builder.checks.check import CheckReport
from pybuild.builder.errors import ResolveError
from pybuild.grammar.lint.options import CheckOptions
from pybuild.grammar.lint.rules import FROM_AS_CASING, RULES, STAGE_NAME_CASING, Violation
from pybuild.grammar.source import Span
from tests.builder.checks.samples import CASING, NAME, SOURCE


def test_junit_has_a_case_for_every_violation_and_for_every_rule_that_held() -> None:
    options = CheckOptions(skip=frozenset({"UndefinedVar"}))
    text = junit.document(
        CheckReport(source=SOURCE, violations=(NAME, CASING, CASING), options=options), "d/Dockerfile"
    )
    root = ET.fromstring(text)
    assert root.attrib == {"tests": str(len(RULES) + 1), "failures": "3", "errors": "0"}
    cases = list(root.iter("testcase"))
    assert [case.get("name") for case in cases[:3]] == [
        "StageNameCasing (line 1)",
        "FromAsCasing (line 2)",
        "FromAsCasing (line 2)",
    ]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.text == f"d/Dockerfile:2\nhint: write AS\n{FROM_AS_CASING.url}"
    skipped = {case.get("name") for case in cases if case.find("skipped") is not None}
    assert skipped == {"UndefinedVar", "InvalidDefinitionDescription"}


def test_junit_is_xml_whatever_the_user_wrote() -> None:
    bad = Violation(rule=STAGE_NAME_CASING, message="\x00\x1b[1m\ud800]]>\ufffe", span=Span(0, 1), hint="\x0b")
    root = ET.fromstring(junit.document(CheckReport(source=SOURCE, violations=(bad,)), "\x07"))
    assert root.find(".//failure") is not None


def test_junit_counts_a_mistake_as_an_error() -> None:
    root = ET.fromstring(junit.document(CheckReport(source=SOURCE, error=ResolveError("no such stage")), "Dockerfile"))
    assert root.get("errors") == "1"
    error = root.find(".//error")
    assert error is not None
    assert error.get("message") == "no such stage"
