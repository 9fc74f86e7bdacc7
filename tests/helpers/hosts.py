"""What this host lacks for a test, in words; tests skip with them."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.helpers import bases


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
