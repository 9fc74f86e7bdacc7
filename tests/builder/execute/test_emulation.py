import shutil

import pytest

from pybuild.builder.execute.emulation import need_emulator, remedy
from pybuild.builder.platforms import parse_platform
from pybuild.runtime.emulation import probe
from pybuild.runtime.emulation.probe import Emulation
from pybuild.runtime.errors import SandboxUnavailable

FOREIGN = "linux/arm64" if parse_platform("local").architecture != "arm64" else "linux/amd64"


@pytest.fixture
def file_systems(tmp_path):
    path = tmp_path / "filesystems"
    path.write_text("nodev\tbinfmt_misc\n")
    return path


def test_this_machine_needs_no_emulator(tmp_path):
    missing = tmp_path / "nothing is written here"
    need_emulator("", missing)
    need_emulator(str(parse_platform("local")), missing)


def test_an_emulator_that_runs_is_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "emulation", lambda architecture, directory: Emulation.RUNS)
    need_emulator(FOREIGN, tmp_path)


@pytest.mark.parametrize("found", [Emulation.UNKNOWN, Emulation.UNREACHABLE, Emulation.BROKEN])
def test_an_emulator_that_cannot_help_is_refused_with_the_reason_and_the_remedy(tmp_path, monkeypatch, found):
    monkeypatch.setattr(probe, "emulation", lambda architecture, directory: found)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxUnavailable, match=f"cannot run programs for {FOREIGN}: {found.value}") as caught:
        need_emulator(FOREIGN, tmp_path)
    assert "install qemu-user-static" in caught.value.hint


def test_an_emulator_that_is_installed_only_has_to_be_registered(monkeypatch, file_systems):
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "qemu-aarch64" else None)
    text = remedy("arm64", Emulation.UNKNOWN, file_systems)
    assert text.startswith("qemu-aarch64 is installed, so register it")
    assert "install qemu-user-static" in remedy("arm64", Emulation.UNREACHABLE, file_systems)


def test_a_kernel_without_binfmt_misc_needs_its_module_first(monkeypatch, file_systems):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert remedy("arm64", Emulation.UNKNOWN, file_systems).startswith("install qemu-user-static")
    file_systems.write_text("\text4\n")
    assert remedy("arm64", Emulation.UNKNOWN, file_systems).startswith("load the kernel module binfmt_misc")
