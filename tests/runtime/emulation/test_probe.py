import os
from collections.abc import Iterator

import pytest

from pybuild.runtime.emulation.probe import Emulation, emulation
from tests.helpers.emulator import registered
from tests.helpers.hosts import need_emulator, need_root

pytestmark = pytest.mark.xdist_group("emulator")


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    need_root()
    emulation.cache_clear()
    yield
    emulation.cache_clear()


def test_a_program_of_this_machine_runs(tmp_path):
    native = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    assert emulation(native, tmp_path) is Emulation.RUNS
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_no_program_is_known_for_is_not_emulated(tmp_path):
    assert emulation("unheardof", tmp_path) is Emulation.UNKNOWN


def test_an_emulator_is_found_where_binfmt_misc_is_not_mounted(tmp_path):
    need_emulator()
    with registered():
        assert emulation("arm64", tmp_path) is Emulation.RUNS


def test_an_emulator_without_the_flag_f_is_not_there_in_a_sandbox(tmp_path):
    need_emulator()
    with registered(flags="OP"):
        assert emulation("arm64", tmp_path) is Emulation.UNREACHABLE


def test_an_emulator_that_fails_is_told_from_none(tmp_path):
    need_emulator()
    script = tmp_path / "script"
    script.write_text("x")
    script.chmod(0o700)
    with registered(interpreter=script):
        assert emulation("arm64", tmp_path) is not Emulation.RUNS
