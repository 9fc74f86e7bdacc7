"""A store as an embedding program opens it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import pybuild


@pytest.fixture
def store(tmp_path: Path) -> Iterator[pybuild.Store]:
    with pybuild.Store.open(tmp_path / "store") as opened:
        yield opened
