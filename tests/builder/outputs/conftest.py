"""A store whose snapshots are copies, so that trees can be opened without root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.store.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    store = open_store(tmp_path / "store")
    yield store
    store.close()
