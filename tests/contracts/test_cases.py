"""The table of rules in testdata/README.md names cases and tests that exist, and at least 250 cases are there."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args

import pytest

from pybuild.grammar.nodes import Instruction
from tests.helpers import cases

REPOSITORY = Path(__file__).parents[2]
DIRECTORIES = [REPOSITORY / "testdata" / name for name in ("dockerfiles", "builds", "checks")]
CASES = {path.name for directory in DIRECTORIES for path in directory.iterdir()}
TABLE = (REPOSITORY / "testdata" / "README.md").read_text().splitlines()
ROWS = {
    cells[1].strip(): re.findall(r"`([^`]+)`", cells[2])
    for cells in (line.split("|") for line in TABLE if line.startswith("| "))
    if cells[1].strip() != "rule"
}


@pytest.mark.parametrize("rule", ROWS)
def test_every_rule_has_its_cases(rule: str) -> None:
    missing = [name for name in ROWS[rule] if not _there(name)]
    assert ROWS[rule]
    assert missing == []


def test_the_language_has_at_least_250_cases() -> None:
    assert len(CASES) - len(list(DIRECTORIES[2].iterdir())) >= 250


def _there(name: str) -> bool:
    if name.startswith("tests/"):
        return (REPOSITORY / name).exists()
    return any(fnmatchcase(case, name) for case in CASES)


@pytest.mark.parametrize("kind", [each.__name__ for each in get_args(Instruction)])
def test_every_instruction_has_a_parsed_case(kind: str) -> None:
    trees = (REPOSITORY / "testdata" / "dockerfiles").glob("*/ast.txt")
    assert any(re.search(rf"^{kind}  @", tree.read_text(), re.MULTILINE) for tree in trees)


def test_cases_are_in_two_groups_which_share_nothing() -> None:
    loaded = [cases.load(name) for name in cases.names()]
    assert {cases.group(case.name) for case in loaded} == {cases.WITH_DEBIAN, cases.SMALL}
    assert {
        (case.name, base) for case in loaded for base in case.bases if cases.group(case.name) != cases.group(base)
    } == set()
    assert {cases.group(case.name) for case in loaded if case.base == "bookworm"} == {cases.WITH_DEBIAN}
