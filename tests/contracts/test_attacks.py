"""The tables of tests/SECURITY.md name files and tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = {
    cells[1].strip(): re.findall(r"`([^`]+)`", cells[3])
    for cells in (line.split("|") for line in (TESTS / "SECURITY.md").read_text().splitlines() if line.startswith("| "))
    if cells[1].strip() != "row"
}


@pytest.mark.parametrize("row", ROWS)
def test_every_attack_has_its_tests(row: str) -> None:
    assert ROWS[row]
    assert [name for name in ROWS[row] if not _there(name)] == []


def _there(name: str) -> bool:
    path, _, test = name.partition("::")
    file = TESTS / path
    return file.is_file() and (not test or f"def {test}(" in file.read_text())
