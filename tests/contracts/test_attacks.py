"""The tables of tests/SECURITY.md name files and tests that exist."""

from pathlib import Path

import pytest

from tests.helpers.attacks import ROWS, counted
from tests.helpers.rungs import RUNGS

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("row", ROWS)
def test_every_attack_has_its_tests(row: str) -> None:
    assert ROWS[row]
    assert [name for name in ROWS[row] if not _there(name)] == []


@pytest.mark.parametrize("row", [row for row in ROWS if not row.startswith("D")])
def test_every_attack_is_tried_as_root_and_in_a_user_namespace(row: str) -> None:
    """The networks of table D need root."""
    found = counted(row)
    assert found["root"] > 0
    assert found["userns"] > 0


@pytest.mark.parametrize("row", [row for row in ROWS if row.startswith("A") and row != "A16"])
def test_every_attack_on_the_sandbox_is_tried_on_each_rung(row: str) -> None:
    """A16 is about names that the builder makes: tests/SECURITY.md."""
    found = counted(row)
    assert [rung for rung in RUNGS if not found.get(rung)] == []


def _there(name: str) -> bool:
    path, _, test = name.partition("::")
    file = TESTS / path
    return file.is_file() and (not test or f"def {test}(" in file.read_text())
