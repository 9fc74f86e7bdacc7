import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.runtime.emulation import own_emulators
from pybuild.runtime.emulation.own_emulators import is_static, register_own, rule
from pybuild.runtime.emulation.smallest import smallest_program
from tests.helpers.hosts import need_emulator, need_programs, need_root

PROGRAM = """
import sys
from pathlib import Path
from pybuild.runtime.emulation.probe import emulation
from pybuild.runtime.emulation import own_emulators
from pybuild.runtime.emulation.own_emulators import register_own
folder = Path(sys.argv[1])
found = [emulation("s390x", folder).name]
found.append(register_own({"s390x": sys.argv[2], "arm64": sys.argv[3]}))
emulation.cache_clear()
found += [emulation("s390x", folder).name, emulation("arm64", folder).name, emulation("riscv64", folder).name]
print(*found)
"""


def ran(*words: object) -> str:
    qemu = ("/usr/bin/qemu-s390x-static", "/usr/bin/qemu-aarch64-static")
    command = [*words, sys.executable, "-c", PROGRAM, os.getcwd(), *qemu]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{os.getcwd()}/.src")
    monkeypatch.chdir(tmp_path)


def test_the_rule_fits_programs_at_fixed_and_at_any_addresses():
    text = rule("arm64", "/q")
    assert text.startswith(rb":pybuild-arm64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00")
    assert rb"\x02\x00\xb7\x00:\xff" in text
    assert text.endswith(rb"\xfe\xff\xff\xff:/q:PF")
    assert rule("s390x", "/q").endswith(rb"\xff\xfe\xff\xff:/q:PF")


def test_in_a_user_namespace_of_its_own_a_builder_has_what_it_registers_and_the_host_does_not():
    need_root()
    need_emulator()
    need_programs(["unshare", "qemu-s390x-static"])
    inside = ran("unshare", "--user", "--mount", "--map-root-user")
    assert inside == "UNKNOWN True RUNS RUNS UNKNOWN"
    assert ran("env").startswith("UNKNOWN False UNKNOWN ")


@pytest.fixture
def static_program(tmp_path: Path) -> str:
    program = tmp_path / "static"
    program.write_bytes(smallest_program("amd64") or b"")
    return str(program)


@pytest.mark.parametrize("architecture", ["amd64", "386"])
def test_a_program_without_a_dynamic_linker_is_static(tmp_path, architecture):
    program = tmp_path / "program"
    program.write_bytes(smallest_program(architecture) or b"")
    assert is_static(str(program))
    program.write_bytes(program.read_bytes()[:50])
    assert not is_static(str(program))


@pytest.mark.parametrize("program", ["/bin/ls", "/etc/passwd", "/dev/null", "/", "/nowhere"])
def test_other_files_are_no_static_programs(program):
    assert not is_static(program)


def test_a_program_that_is_not_static_is_not_registered(monkeypatch):
    monkeypatch.setattr(own_emulators, "in_initial_namespace", lambda: False)
    monkeypatch.setattr(own_emulators, "filesystem", _unexpected)
    assert not register_own({"arm64": "/bin/ls"})


def test_the_namespace_of_the_host_is_left_alone(monkeypatch, static_program):
    monkeypatch.setattr(own_emulators, "in_initial_namespace", lambda: True)
    monkeypatch.setattr(own_emulators, "filesystem", _unexpected)
    assert not register_own({"arm64": static_program})


def test_without_an_emulator_nothing_is_made(monkeypatch):
    monkeypatch.setattr(own_emulators, "in_initial_namespace", lambda: False)
    monkeypatch.setattr(own_emulators, "filesystem", _unexpected)
    assert not register_own({})


def _unexpected(name):
    raise AssertionError(f"{name} is mounted")
