"""Whole builds: they need root and a static busybox."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.hosts import need_programs, need_root, need_small_base
from tests.helpers.program import Program


@pytest.fixture(autouse=True)
def _needs_of_a_build() -> None:
    need_root()
    need_programs(["busybox"])


@pytest.fixture(scope="session")
def store_with_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has the base ``small``, to be copied: an import takes longer than most builds of these tests."""
    need_root()
    made = Program(store=tmp_path_factory.mktemp("base") / "store")
    made.import_tar(need_small_base(), "small")
    return made.store


@pytest.fixture
def program(store_with_small: Path, tmp_path: Path) -> Program:
    """pybuild on a fresh store that has the base ``small``."""
    return Program(store=shutil.copytree(store_with_small, tmp_path / "store", symlinks=True))
