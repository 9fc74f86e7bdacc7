"""What CI runs, what it draws, and what it leaves to `make release`."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.attacks import ROWS
from tests.helpers.drawing import dealt
from tests.helpers.thorough import first_in_ci, some_in_ci
from tests.mutants.mutant import load

TESTS = Path(__file__).parents[1]
MAKE = """#!/bin/sh
case "$*" in
*lint*) echo said by the linters; exit "$LINTERS" ;;
*test-all*) echo "$*" > told; exit "$TESTS" ;;
esac
"""


@pytest.mark.parametrize(("linters", "tests"), [(0, 0), (0, 2), (3, 0), (3, 2)])
def test_linters_and_tests_run_and_either_may_fail(tmp_path: Path, linters: int, tests: int) -> None:
    programs = {
        "bin/git": "#!/bin/sh\necho 1234\n",
        "bin/make": MAKE,
        ".venv/bin/python": '#!/bin/sh\necho "$*" >> python\n',
    }
    for name, text in {**programs, "tests/setup/debian.sh": ""}.items():
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
    assert sorted((tmp_path / "python").read_text().splitlines()) == [
        "-m pytest --collect-only -q",
        "-m tests.helpers.bases",
    ]
    words = (tmp_path / "told").read_text().strip()
    assert words.endswith(
        "test-all mutants JOBS=6 PYTEST=-m 'not release' --share 8 --seed 1234 MUTANTS=--jobs 4 --share 10 --seed 1234"
    )


def test_the_first_of_a_repetition_is_for_ci() -> None:
    marked = [some_in_ci([1, 2, 3, 4], 3), first_in_ci(1, 2)]
    left = [[getattr(each, "values", (each,))[0] for each in sets if "release" not in _marks(each)] for sets in marked]
    assert left == [[1, 4], [1]]


def test_no_attack_is_left_to_the_release() -> None:
    files = {name.partition("::")[0] for names in ROWS.values() for name in names}
    assert [name for name in files if "pytestmark = BEFORE_A_RELEASE" in (TESTS / name).read_text()] == []


@pytest.mark.parametrize("count", range(1, 10))
def test_the_shares_together_are_all_tests_and_none_is_in_two(count: int) -> None:
    units = [f"case {number}" for number in range(count)]
    shares = {frozenset(dealt(units, 4, str(seed))) for seed in range(100)}
    assert len(shares) == min(4, count)
    assert all(shares)
    assert sorted(unit for share in shares for unit in share) == units


DRAWN = """import pytest
LARGE = pytest.mark.drawn("large", "one")

@pytest.mark.drawn
@pytest.mark.parametrize("number", [*range(8), pytest.param("large", marks=LARGE)])
def test_first(number): pass

@pytest.mark.parametrize("number", [0, pytest.param("large", marks=LARGE), pytest.param(2, marks=pytest.mark.drawn("large", "two"))])
def test_second(number): pass
"""


def ran_by_pytest(directory: Path, text: str, *words: str) -> str:
    """Return what pytest prints about a file of tests with this *text*."""
    (directory / "test_it.py").write_text(text)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = drawn\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", *words, directory],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.fspath(TESTS.parent)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_share_is_drawn_and_counted(tmp_path: Path, processes: str) -> None:
    words = ("-p", "tests.helpers.drawing", "-n", processes, "--share=4", "--seed=1")
    ran = ran_by_pytest(tmp_path, DRAWN, *words)
    passed = set(re.findall(r"::(test_\w+\[\w+\])", ran))
    first = {name for name in passed if re.match(r"test_first\[\d", name)}
    large = {name for name in passed if name.endswith(("[large]", "second[2]"))}
    assert len(first) == 2
    assert large in ({"test_first[large]", "test_second[large]"}, {"test_second[2]"})
    assert passed - first - large == {"test_second[0]"}
    assert f"drawn by --share 4 --seed 1: {11 - len(first) - len(large)} of 11 tests were left out" in ran


GROUPED = """import pytest
pytestmark = pytest.mark.xdist_group("one group")

@pytest.mark.parametrize("number", range(12))
def test_it(number): pass
"""


def test_the_tests_of_a_group_run_in_one_process(tmp_path: Path) -> None:
    """Else each process builds again what they share, and CI takes twice as long."""
    ran = ran_by_pytest(tmp_path, GROUPED, "-n", "2", "--dist", "loadgroup")
    processes = re.findall(r"\[(gw\d)\].* PASSED .*test_it", ran)
    assert (len(processes), len(set(processes))) == (12, 1), "`make .venv/tests` installs what pyproject.toml names"


def test_no_test_of_an_attack_or_a_mutant_is_drawn() -> None:
    named = {name.partition("[")[0] for names in ROWS.values() for name in names}
    named |= {mutant.test.partition("[")[0] for mutant in load()}
    assert [name for name in sorted(named) if any(map(_is_drawn, _functions(name)))] == []
    assert _is_drawn(next(_functions("interop/test_git.py::test_docker_adds_the_same_files")))
    assert _is_drawn(next(_functions("e2e/test_builds.py::test_image_runs")))


def _functions(name: str) -> Iterator[tuple[object, object]]:
    """The test functions that *name* means, one or all of a file, each with its module."""
    path, _, wanted = name.partition("::")
    module = importlib.import_module(f"tests.{path.removesuffix('.py').replace('/', '.')}")
    for function in [wanted] if wanted else [each for each in vars(module) if each.startswith("test_")]:
        yield module, getattr(module, function)


def _is_drawn(found: tuple[object, object]) -> bool:
    marks = [mark for each in found for mark in _listed(getattr(each, "pytestmark", []))]
    sets = [value for mark in marks if mark.name == "parametrize" for value in mark.args[1]]
    return "drawn" in {*(mark.name for mark in marks), *(name for each in sets for name in _marks(each))}


def _listed(marks: object) -> list[pytest.Mark]:
    return [getattr(each, "mark", each) for each in (marks if isinstance(marks, list) else [marks])]


def _marks(each: object) -> set[str]:
    return {mark.name for mark in getattr(each, "marks", ())}
