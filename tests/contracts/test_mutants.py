"""The tests that the list of defences names exist."""

from pathlib import Path

from tests.mutants.mutant import load

TESTS = Path(__file__).parents[1]


def test_the_tests_of_mutants_are_there() -> None:
    assert [mutant.id for mutant in load() if not _there(mutant.test)] == []


def _there(test: str) -> bool:
    path, _, function = test.partition("[")[0].partition("::")
    file = TESTS / path
    return file.is_file() and (not function or f"def {function}(" in file.read_text(encoding="utf-8"))
