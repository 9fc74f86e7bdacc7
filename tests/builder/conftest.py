"""What many tests of the builder need: a store, its parts, servers, and a disk of another size."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.store.database import Database
from pybuild.builder.store.store import Store, open_store
from tests.helpers.registry import FakeRegistry
from tests.helpers.web import Web


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "db")
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Give the disk of the store another size, and so much of it that is free."""

    def pretend(size: int, free: int) -> None:
        blocks, left = size // 512, free // 512
        status = os.statvfs_result((512, 512, blocks, left, left, 9, 9, 9, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _path: status)

    return pretend
