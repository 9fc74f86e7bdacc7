import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from tests.runtime.supervisor.supervised import supervised, supervision

# A shell would go back to its real id by itself.
_SCRIPT = f"#!{sys.executable}\nimport os\nprint(os.geteuid())\n"


def _told(program: Path, *words: str) -> str:
    return subprocess.run([program, *words], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def _all() -> tuple[object, ...]:
    return os.getresuid(), os.getresgid(), os.getgroups(), (os.getuid(), os.geteuid(), os.getgid(), os.getegid())


def test_a_process_is_told_what_it_set_and_stays_what_it_is() -> None:
    def change() -> tuple[object, ...]:
        os.setgroups([7, 70000])
        os.setresgid(10, 11, 12)
        os.setresuid(20, 21, 22)
        with open("/proc/self/status") as status:
            real = [line for line in status if line.startswith("Uid")]
        return (*_all(), real)

    told = supervised(change)
    assert told[:4] == ((20, 21, 22), (10, 11, 12), [7, 70000], (20, 21, 10, 11))
    assert told[4] == ["Uid:\t0\t0\t0\t0\n"]


@pytest.mark.parametrize(
    "call",
    [lambda: os.setuid(0), lambda: os.setresuid(-1, 0, -1), lambda: os.setgid(0), lambda: os.setgroups([])],
)
def test_who_was_root_has_no_way_back(call: Callable[[], object]) -> None:
    def change() -> None:
        os.setresgid(9, 9, 9)
        os.setresuid(9, 9, 9)
        call()

    with pytest.raises(PermissionError):
        supervised(change)


def test_a_process_without_the_capabilities_stays_root() -> None:
    how = supervision(capabilities=DEFAULT & ~mask("SETUID", "SETGID"))
    for call in (lambda: os.setuid(1), lambda: os.setgid(1), lambda: os.setgroups([1])):
        with pytest.raises(PermissionError):
            supervised(call, how)


def test_who_keeps_its_capabilities_may_change_groups_after_its_user() -> None:
    def change() -> tuple[object, ...]:
        import ctypes

        ctypes.CDLL(None).prctl(8, 1, 0, 0, 0)
        os.setresuid(5, 5, 5)
        os.setresgid(6, 6, 6)
        os.setgroups([7])
        return _all()[:3]

    assert supervised(change) == ((5, 5, 5), (6, 6, 6), [7])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o755, ["1000", "1000", "1001", "1001"]),
        (0o4755, ["7", "1000", "1001", "1001"]),
        (0o2755, ["1000", "1000", "8", "1001"]),
        (0o6755, ["7", "1000", "8", "1001"]),
        (0o6745, ["7", "1000", "1001", "1001"]),
    ],
)
def test_a_program_has_the_ids_of_its_recorded_owner(tmp_path: Path, mode: int, expected: list[str]) -> None:
    def run() -> list[str]:
        program = tmp_path / "id"
        shutil.copy("/usr/bin/id", program)
        os.chown(program, 7, 8)
        program.chmod(mode)
        os.setgroups([])
        os.setgid(1001)
        os.setuid(1000)
        return [_told(program, *words) for words in (("-u",), ("-ru",), ("-g",), ("-rg",))]

    assert supervised(run) == expected


def test_a_program_of_root_makes_root_which_its_children_may_be_for_good(tmp_path: Path) -> None:
    def run() -> tuple[str, int]:
        program = tmp_path / "setpriv"
        shutil.copy("/usr/bin/setpriv", program)
        program.chmod(0o4755)
        os.setuid(1000)
        return _told(program, "--reuid=0", "--", "id", "-ru"), os.geteuid()

    assert supervised(run) == ("0", 1000)


def test_the_bits_of_a_script_have_no_meaning(tmp_path: Path) -> None:
    def run() -> str:
        script = tmp_path / "script"
        script.write_text(_SCRIPT)
        script.chmod(0o4755)
        os.setuid(1000)
        return _told(script)

    assert supervised(run) == "1000"


def test_a_program_that_sets_no_id_saves_the_effective_one(tmp_path: Path) -> None:
    def run() -> str:
        os.setresuid(1000, 1001, 1002)
        return _told(Path(sys.executable), "-c", "import os; print(os.getresuid())")

    assert supervised(run) == "(1000, 1001, 1001)"
