import os
import shutil
import subprocess

import pytest

from pybuild.runtime.emulation.smallest import smallest_program
from tests.helpers.hosts import need_programs

EMULATORS = {
    "386": "i386",
    "amd64": "x86_64",
    "arm": "arm",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "mips64le": "mips64el",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


@pytest.mark.parametrize("architecture", EMULATORS)
def test_the_smallest_program_of_each_machine_runs_on_it_and_ends_well(tmp_path, architecture):
    # From Debian 13 on the static programs have no suffix.
    name = f"qemu-{EMULATORS[architecture]}"
    emulator = shutil.which(f"{name}-static") or name
    need_programs([emulator])
    program = tmp_path / "program"
    program.write_bytes(smallest_program(architecture))
    program.chmod(0o700)
    done = subprocess.run([emulator, program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_program_of_this_machine_runs_without_help(tmp_path):
    native = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    program = tmp_path / "program"
    program.write_bytes(smallest_program(native))
    program.chmod(0o700)
    assert subprocess.run([program], check=False).returncode == 0


def test_a_machine_that_nobody_knows_has_no_program():
    assert smallest_program("unheardof") is None
