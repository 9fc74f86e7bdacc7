"""The documents about a Dockerfile that other programs read."""

import base64
import json
from xml.etree import ElementTree as ET

from pybuild.builder.checks import junit, report, sarif
from pybuild.builder.checks.check import CheckReport
from pybuild.builder.errors import ResolveError
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.options import CheckOptions
from pybuild.grammar.lint.rules import FROM_AS_CASING, RULES, STAGE_NAME_CASING, Violation
from pybuild.grammar.source import Source, Span

SOURCE = Source("Dockerfile", "FROM x\nFROM scratch \\\n as \u00c4\n")
SECOND = Span(7, 27)
CASING = Violation(rule=FROM_AS_CASING, message="'as' and 'FROM' do not match", span=SECOND, hint="write AS")
NAME = Violation(rule=STAGE_NAME_CASING, message="Stage name 'a\x1b[31m<&>'", span=Span(0, 6))


def test_the_text_is_that_of_buildkit_with_the_fix_named() -> None:
    assert report.text(CheckReport(source=SOURCE, violations=(CASING,))) == (
        "\n"
        "WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/\n"
        "'as' and 'FROM' do not match\n"
        "hint: write AS\n"
        "Dockerfile:2\n"
        "--------------------\n"
        "   1 |     FROM x\n"
        "   2 | >>> FROM scratch \\\n"
        "   3 | >>>  as \u00c4\n"
        "   4 |     \n"
        "--------------------\n"
        "\n"
        "Check complete, 1 warning has been found!\n"
    )


def test_the_last_line_counts_the_warnings() -> None:
    assert report.text(CheckReport(source=SOURCE)) == "Check complete, no warnings found.\n"
    two = report.text(CheckReport(source=SOURCE, violations=(NAME, CASING)))
    assert two.endswith("\nCheck complete, 2 warnings have been found!\n")
    assert "\x1b" not in two


def test_after_a_mistake_the_check_is_not_called_complete() -> None:
    assert report.text(CheckReport(source=SOURCE, error=ResolveError("no"))) == ""


def test_json_has_the_names_of_buildkit() -> None:
    found = json.loads(json.dumps(report.document(CheckReport(source=SOURCE, violations=(CASING,)))))
    (warning,) = found["warnings"]
    assert warning == {
        "ruleName": "FromAsCasing",
        "description": FROM_AS_CASING.description,
        "url": FROM_AS_CASING.url,
        "detail": CASING.message,
        "hint": "write AS",
        "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 3}}]},
    }
    (source,) = found["sources"]
    assert base64.b64decode(source["data"]).decode() == SOURCE.text
    assert "buildError" not in found


def test_json_tells_what_would_end_a_build() -> None:
    mistake = report.document(CheckReport(source=SOURCE, error=DockerfileError("bad", SECOND)))
    assert mistake["buildError"] == {
        "message": "bad",
        "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 3}}]},
    }
    strict = report.document(CheckReport(source=SOURCE, violations=(CASING,), options=CheckOptions(error=True)))
    assert strict["buildError"] == {"message": "lint violation found for rules: FromAsCasing"}


def test_sarif_points_at_rule_and_place() -> None:
    found = sarif.document(CheckReport(source=SOURCE, violations=(CASING,), notes=("left out",)), "a folder/Dockerfile")
    assert found["version"] == "2.1.0"
    (run,) = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    (result,) = run["results"]
    assert len(rules) == len(RULES)
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "FromAsCasing"
    assert result["level"] == "warning"
    assert result["message"]["text"] == "'as' and 'FROM' do not match (hint: write AS)"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20folder/Dockerfile"
    # Half-open, in code points, counted from 1.
    assert place["region"] == {"startLine": 2, "startColumn": 1, "endLine": 3, "endColumn": 6}
    assert run["invocations"] == [
        {
            "executionSuccessful": True,
            "toolExecutionNotifications": [{"level": "note", "message": {"text": "left out"}}],
        }
    ]


def test_sarif_tells_of_a_mistake_and_of_errors() -> None:
    options = CheckOptions(error=True)
    broken = CheckReport(source=SOURCE, violations=(CASING,), options=options, error=DockerfileError("bad", SECOND))
    (run,) = sarif.document(broken, "Dockerfile")["runs"]
    assert run["results"][0]["level"] == "error"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "bad"


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
