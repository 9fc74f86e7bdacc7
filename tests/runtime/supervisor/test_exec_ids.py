import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.supervisor.supervised import supervised

# A shell would go back to its real id by itself.
_SCRIPT = f"#!{sys.executable}\nimport os\nprint(os.geteuid())\n"


def _told(program: Path, *words: str) -> str:
    return subprocess.run([program, *words], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


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
