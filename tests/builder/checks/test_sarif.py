"""A report of the checks in SARIF."""

from pybuild.builder.checks import sarif
from pybuild.builder.checks.check import CheckReport
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.options import CheckOptions
from pybuild.grammar.lint.rules import RULES
from tests.builder.checks.samples import CASING, SECOND, SOURCE


def test_sarif_points_at_rule_and_place() -> None:
    found = sarif.document(
        CheckReport(source=SOURCE, violations=(CASING,), missing=("left out",)), "a folder/Dockerfile"
    )
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
