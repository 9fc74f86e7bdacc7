"""A store with a tiny image in it, a registry that serves it, and an empty store to bring it to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.registry import Registry
from tests.helpers.images import tiny_image
from tests.helpers.registry import APP, FakeRegistry, Patience


@pytest.fixture
def source(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "source")


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "target")


@pytest.fixture
def image(source: BlobStore) -> Image:
    return tiny_image(source, {"a": b"1" * 50_000}, {"b": b"2"})


@pytest.fixture
def server(source: BlobStore, image: Image) -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        fake.add(source, APP, "1.0", image.descriptor)
        yield fake


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
def registry(server: FakeRegistry, patience: Patience) -> Iterator[Registry]:
    client = Registry(server.name, retry=patience.retry)
    yield client
    client.close()


@pytest.fixture
def many() -> Callable[[BlobStore], Image]:
    """Makes an image of many layers."""
    return lambda store: tiny_image(store, *({f"f{n}": bytes([n])} for n in range(12)))
