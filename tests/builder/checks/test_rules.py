"""Every rule on the cases of testdata/checks, whose directories are named after it."""

import re
from pathlib import Path

import pytest

from pybuild.grammar.lint.rules import RULES
from pybuild.grammar.source import Source
from tests.helpers.checking import checked, shown, violations_of

_CASES = Path(__file__).parents[3] / "testdata" / "checks"


def _directory(rule: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", rule).lower()


@pytest.mark.parametrize("case", sorted(path.name for path in _CASES.iterdir()))
def test_the_checks_find_what_the_golden_file_says(case: str) -> None:
    directory = _CASES / case
    source = Source("Dockerfile", (directory / "Dockerfile").read_text())
    assert (
        shown(source, violations_of(source, directory, build_args=(("GIVEN", "1"),)))
        == (directory / "expect.txt").read_text()
    )


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_every_rule_has_a_case_that_breaks_it_and_one_that_does_not(rule: str) -> None:
    directories = [path for path in _CASES.iterdir() if path.name.startswith(f"{_directory(rule)}-")]
    broken = [f": {rule}: " in (directory / "expect.txt").read_text() for directory in directories]
    assert {True, False} <= set(broken)


def test_a_default_is_not_looked_at_when_a_build_argument_takes_its_place() -> None:
    text = "FROM base\nARG A=$B\n"
    assert checked(text) == ["2: UndefinedVar: Usage of undefined variable '$B'"]
    assert checked(text, build_args=(("A", "1"),)) == []


def test_a_base_that_is_not_known_may_define_any_variable() -> None:
    assert checked("FROM nobody-has-this\nCOPY $a .\nENV b=$c\n") == []


def test_platforms_compare_without_their_variant() -> None:
    (line,) = checked("FROM arm\n", platform="linux/arm64")
    assert line.endswith('was pulled with platform "linux/arm/v7", expected "linux/arm64" for current build')
    assert checked("FROM arm\n", platform="linux/arm/v6") == []


def test_the_build_argument_takes_the_place_of_the_directive() -> None:
    text = "# check=skip=all\nFROM scratch as a\ncopy b c\n"
    given = (("BUILDKIT_DOCKERFILE_CHECK", "skip=ConsistentInstructionCasing"),)
    assert checked(text) == []
    assert checked(text, build_args=given) == ["2: FromAsCasing: 'as' and 'FROM' keywords' casing do not match"]
    assert checked(text, build_args=(("BUILDKIT_DOCKERFILE_CHECK", ""),)) == []


def test_a_file_of_unknown_names_is_checked_in_moderate_time() -> None:
    known = " ".join(f"argument_{number}=1" for number in range(1500))
    unknown = "".join(f"ENV a{number}=$argument_x{number}\n" for number in range(1500))
    assert len(checked(f"FROM base\nARG {known}\n{unknown}")) == 1500
