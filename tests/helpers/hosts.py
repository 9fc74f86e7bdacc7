"""What this host lacks for a test, in words; tests skip with them."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.helpers import bases
from tests.helpers.emulator import QEMU


def need_root() -> None:
    """Skip unless the caller is root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds with mounts and owners of every kind")


def need_programs(names: Iterable[str]) -> None:
    """Skip unless all of the programs called *names* are installed."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}; see tests/setup/debian.sh")


def need_small_base() -> Path:
    """The tar of the small base, or a skip when there is no static busybox to make it of."""
    if not bases.BUSYBOX.exists():
        pytest.skip(f"needs {bases.BUSYBOX}, a static one; see tests/setup/debian.sh")
    return bases.small()


def need_emulator() -> None:
    """Skip unless there is an emulator for arm64 that could be registered, on a machine of another kind."""
    if not QEMU.exists():
        pytest.skip(f"needs {QEMU}; see tests/setup/debian.sh")
    if "binfmt_misc" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        pytest.skip("needs a kernel with binfmt_misc")
    if os.uname().machine == "aarch64":
        pytest.skip("needs a machine that arm64 is foreign to")


def need_kernel(major: int, minor: int) -> None:
    """Skip unless the kernel is Linux *major*.*minor* or later."""
    release = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])
    if release < (major, minor):
        pytest.skip(f"needs Linux {major}.{minor}")
