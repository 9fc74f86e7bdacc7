"""A report of the checks as BuildKit's text and JSON."""

import base64
import json

from pybuild.builder.checks import report
from pybuild.builder.checks.check import CheckReport
from pybuild.builder.errors import ResolveError
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.options import CheckOptions
from pybuild.grammar.lint.rules import FROM_AS_CASING
from tests.builder.checks.samples import CASING, NAME, SECOND, SOURCE

LINES_2_3 = {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}, {"start": {"line": 3}, "end": {"line": 3}}]}
"""BuildKit has a range for each line."""


def test_the_text_is_that_of_buildkit_with_the_fix_named() -> None:
    assert report.text(CheckReport(source=SOURCE, violations=(CASING,))) == (
        "Check complete, 1 warning has been found!\n"
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
    )


def test_the_first_line_counts_the_warnings() -> None:
    assert report.text(CheckReport(source=SOURCE)) == "Check complete, no warnings found.\n"
    two = report.text(CheckReport(source=SOURCE, violations=(NAME, CASING)))
    assert two.startswith("Check complete, 2 warnings have been found!\n\nWARNING: ")
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
        "location": LINES_2_3,
    }
    (source,) = found["sources"]
    assert base64.b64decode(source["data"]).decode() == SOURCE.text
    assert "buildError" not in found


def test_json_tells_what_would_end_a_build() -> None:
    mistake = report.document(CheckReport(source=SOURCE, error=DockerfileError("bad", SECOND)))
    assert mistake["buildError"] == {
        "message": "bad",
        "location": LINES_2_3,
    }
    strict = report.document(CheckReport(source=SOURCE, violations=(CASING,), options=CheckOptions(error=True)))
    assert strict["buildError"] == {"message": "lint violation found for rules: FromAsCasing", "location": {}}
    nowhere = report.document(CheckReport(source=SOURCE, error=ResolveError("no")))
    assert nowhere["buildError"] == {"message": "no", "location": {}}


def test_remarks_beyond_the_rules_are_shown_and_counted() -> None:
    text = report.text(CheckReport(source=SOURCE, violations=(CASING,), remarks=(("looks like JSON", 1),)))
    assert "\nWARNING: looks like JSON\nDockerfile:1\n" in text
    assert text.startswith("Check complete, 2 warnings have been found!\n")
