"""What CI runs, and what it leaves to `make release`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.attacks import ROWS
from tests.helpers.thorough import first_in_ci, some_in_ci

TESTS = Path(__file__).parents[1]
MAKE = """#!/bin/sh
case "$*" in
*lint*) echo said by the linters; exit "$LINTERS" ;;
*test-all*) echo "$*" > told; exit "$TESTS" ;;
esac
"""


@pytest.mark.parametrize(("linters", "tests"), [(0, 0), (0, 2), (3, 0), (3, 2)])
def test_linters_and_tests_run_and_either_may_fail(tmp_path: Path, linters: int, tests: int) -> None:
    programs = {"git": "#!/bin/sh\necho 1234\n", "make": MAKE}
    for name, text in {**{f"bin/{name}": text for name, text in programs.items()}, "tests/setup/debian.sh": ""}.items():
        (path := tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(TESTS.parent / ".ci/run", tmp_path / ".ci/run")
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "LINTERS": str(linters), "TESTS": str(tests)}
    done = subprocess.run(
        ["sh", tmp_path / ".ci/run"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (tests or linters, "said by the linters\n"), done.stderr
    words = (tmp_path / "told").read_text().strip()
    assert words.endswith("test-all mutants JOBS=3 PYTEST=-m 'not release' MUTANTS=--share 10 --seed 1234")


def test_the_first_of_a_repetition_is_for_ci() -> None:
    marked = [some_in_ci([1, 2, 3, 4], 3), first_in_ci(1, 2)]
    left = [[getattr(each, "values", (each,))[0] for each in sets if "release" not in _marks(each)] for sets in marked]
    assert left == [[1, 4], [1]]


def test_no_attack_is_left_to_the_release() -> None:
    files = {name.partition("::")[0] for names in ROWS.values() for name in names}
    assert [name for name in files if "pytestmark = BEFORE_A_RELEASE" in (TESTS / name).read_text()] == []


def _marks(each: object) -> set[str]:
    return {mark.name for mark in getattr(each, "marks", ())}
