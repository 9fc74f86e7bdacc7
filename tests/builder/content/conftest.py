"""An empty directory to select files from."""

from pathlib import Path

import pytest


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory whose parent is empty otherwise, for what is outside of the context."""
    place = tmp_path / "context"
    place.mkdir()
    return place
