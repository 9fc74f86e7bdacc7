"""A root to unpack layers to."""

from pathlib import Path

import pytest

from tests.helpers.hosts import need_root
from tests.helpers.unpacking import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    need_root()
    return Ground(tmp_path)
