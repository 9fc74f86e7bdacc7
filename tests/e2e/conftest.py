"""Whole builds: they need root and a static busybox."""

from pathlib import Path

import pytest

from tests.helpers.hosts import need_programs, need_root, need_small_base
from tests.helpers.program import Program


@pytest.fixture(autouse=True)
def _needs_of_a_build() -> None:
    need_root()
    need_programs(["busybox"])


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """pybuild on a fresh store that has the base ``small``."""
    fresh = Program(store=tmp_path / "store")
    fresh.import_tar(need_small_base(), "small")
    return fresh
