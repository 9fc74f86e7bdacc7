"""The pass tells a test that notices a missing defence from one that does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.hosts import need_root
from tests.mutants.mutant import Edit, Mutant
from tests.mutants.run import Case, Ran, Verdict, judge, never_passing, verdict_on
from tests.mutants.tree import Copy, EditDoesNotApply

SAFE = "def is_safe(name):\n    return '/' not in name\n"
TEST = "from safe import is_safe\n\ndef test_it():\n    assert not is_safe('a/b')\n"


def mutant(old: str = "'/' not in name", new: str = "True", says: str = "") -> Mutant:
    return Mutant(
        id="m",
        area="a",
        rows=(),
        edits=(Edit(file="safe.py", old=old, new=new),),
        test="test_safe.py::test_it",
        says=says,
        limit=60,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    (tmp_path / "source/tests").mkdir(parents=True)
    (tmp_path / "source/safe.py").write_text(SAFE)
    (tmp_path / "source/tests/test_safe.py").write_text(TEST)
    (tmp_path / "copy").mkdir()
    return Copy(tmp_path / "copy", tmp_path / "source")


def ran(kind: str, text: str) -> Ran:
    return Ran(True, (Case("tests.test_safe::test_it", kind, text),), "")


@pytest.mark.parametrize(
    ("what", "says", "verdict"),
    [
        (ran("failure", "AssertionError: assert not True"), "", Verdict.KILLED),
        (ran("failure", "assert 1 == 2"), "", Verdict.KILLED),
        (ran("failure", "Failed: DID NOT RAISE <class 'OSError'>"), "", Verdict.KILLED),
        (ran("failure", "Failed: Timeout (>60.0s) from pytest-timeout."), "", Verdict.KILLED),
        (ran("failure", "OSError: found"), "OSError: found", Verdict.KILLED),
        (ran("failure", "AssertionError: assert not True"), "OSError", Verdict.ELSEWHERE),
        (ran("failure", "NameError: name 'x' is not defined"), "", Verdict.ELSEWHERE),
        (ran("error", "AssertionError: of a fixture"), "", Verdict.ELSEWHERE),
        (ran("", ""), "", Verdict.SURVIVED),
        (Ran(True, (), "no tests ran"), "", Verdict.ELSEWHERE),
        (Ran(False, (), ""), "", Verdict.HUNG),
    ],
)
def test_only_a_failure_for_the_right_reason_counts(what: Ran, says: str, verdict: Verdict) -> None:
    assert verdict_on(mutant(says=says), what)[0] is verdict


@pytest.mark.parametrize(("old", "new"), [("not there", "x"), ("name", "x"), ("'/' not in name", "(")])
def test_an_edit_that_does_not_apply_is_a_failure_of_the_pass(copy: Copy, old: str, new: str) -> None:
    assert judge(copy, mutant(old, new)).verdict is Verdict.STALE
    with pytest.raises(EditDoesNotApply), copy.mutated(mutant(old, new)):
        pass
    assert (copy.root / "safe.py").read_text() == SAFE


def test_a_mutant_is_made_judged_and_taken_back(copy: Copy) -> None:
    assert never_passing(copy, [mutant()], 1) == {}
    assert judge(copy, mutant()).verdict is Verdict.KILLED
    assert (copy.root / "safe.py").read_text() == SAFE
    assert judge(copy, mutant(new="'/' not in str(name)")).verdict is Verdict.SURVIVED


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ["test_it", "test_it[a@b]"])
def test_a_group_is_no_part_of_the_name_of_a_test(copy: Copy, name: str, jobs: int) -> None:
    text = TEST.replace("def test_it()", "@pytest.mark.parametrize('name', ['a@b'])\ndef test_it(name)")
    grouped = "import pytest\npytestmark = pytest.mark.xdist_group('a group')\n"
    (copy.root / "tests/test_safe.py").write_text(grouped + (text if "[" in name else TEST))
    assert never_passing(copy, [replace(mutant(), test=f"test_safe.py::{name}")], jobs) == {}


def test_a_test_that_fails_without_the_edit_is_told(copy: Copy) -> None:
    (copy.root / "tests/test_safe.py").write_text(TEST.replace("not ", ""))
    assert "assert" in never_passing(copy, [mutant()], 1)["test_safe.py::test_it"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_test_that_is_not_there_is_named(copy: Copy, jobs: int) -> None:
    (copy.root / "tests/test_safe.py").write_text(TEST.replace("test_it", "test_that"))
    assert "test_safe.py::test_it" in never_passing(copy, [mutant()], jobs)["test_safe.py::test_it"]


def test_a_copy_lacks_what_is_made_at_the_top_only(tmp_path: Path) -> None:
    for name in ("build", "package/build", "package/__pycache__", ".venv"):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "file").touch()
    (tmp_path / "copy").mkdir()
    root = Copy(tmp_path / "copy", tmp_path / "source").root
    assert sorted(str(path.relative_to(root)) for path in root.rglob("file")) == ["package/build/file"]


def test_what_a_mutant_lets_through_cannot_reach_the_disk_of_the_host(copy: Copy) -> None:
    need_root()
    canary = Path(__file__).parents[2] / ".mutant-was-here"
    (copy.root / "tests/test_safe.py").write_text(
        "from pathlib import Path\n"
        "def test_it(tmp_path):\n"
        "    (tmp_path / 'own').touch()\n"
        f"    for path in ('/.mutant-was-here', '/etc/.mutant-was-here', {str(canary)!r}):\n"
        "        try:\n            Path(path).touch()\n        except OSError as error:\n            assert error.errno == 30\n"
        "        else:\n            assert False, path\n"
    )
    assert never_passing(copy, [mutant()], 1) == {}
    assert not canary.exists()


def test_what_a_test_leaves_to_itself_is_reaped(copy: Copy) -> None:
    need_root()
    (copy.root / "tests/test_safe.py").write_text(
        "import os, subprocess, time\n"
        "def test_it():\n"
        "    left = subprocess.check_output(['sh', '-c', 'sleep 0.1 > /dev/null & echo $!'], text=True).strip()\n"
        "    deadline = time.monotonic() + 20\n"
        "    while os.path.exists(f'/proc/{left}'):\n"
        "        assert time.monotonic() < deadline\n"
        "        time.sleep(0.02)\n"
    )
    assert never_passing(copy, [mutant()], 1) == {}
