"""The list of defences is whole: every row of the list of attacks has tests, and a defence that they watch."""

import re
from pathlib import Path

import pytest

from tests.contracts.test_attacks import ROWS
from tests.mutants.mutant import load

TESTS = Path(__file__).parents[1]
MUTANTS = load()
ATTACKS = {
    *(f"A{number:02}" for number in range(1, 32)),
    *(f"B{number:02}" for number in range(1, 28)),
    *(f"C{number:02}" for number in range(1, 16)),
    *(f"D{number:02}" for number in range(1, 7)),
}
AREAS = {
    cells[1].strip(): set(re.findall(r"`([^`]+)`", cells[4]))
    for cells in (line.split("|") for line in (TESTS / "SECURITY.md").read_text().splitlines() if line.startswith("| "))
    if cells[1].strip() != "row"
}


def rows_of(label: str) -> set[str]:
    """The rows that the first cell of a table means: "A18 to A21", "A06, A07"."""
    found = set()
    for part in label.split(","):
        first, last = (re.findall(r"\d+", part) * 2)[:2]
        found |= {f"{part.strip()[0]}{number:02}" for number in range(int(first), int(last) + 1)}
    return found


def test_every_row_of_the_list_of_attacks_has_tests() -> None:
    assert set().union(*map(rows_of, ROWS)) == ATTACKS


def test_every_row_has_a_defence_that_is_taken_out() -> None:
    covered = {row for mutant in MUTANTS for row in mutant.rows}
    assert covered - ATTACKS == set()
    assert ATTACKS - covered == set()


@pytest.mark.parametrize("label", AREAS)
def test_the_table_says_in_which_lists_the_mutants_of_a_row_are(label: str) -> None:
    assert AREAS[label] == {mutant.area for mutant in MUTANTS if rows_of(label) & set(mutant.rows)}


def test_the_tests_of_mutants_are_there() -> None:
    assert [mutant.id for mutant in MUTANTS if not _there(mutant.test)] == []


def _there(test: str) -> bool:
    path, _, function = test.partition("[")[0].partition("::")
    file = TESTS / path
    return file.is_file() and (not function or f"def {function}(" in file.read_text(encoding="utf-8"))
