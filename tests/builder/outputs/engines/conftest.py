from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.image import Image
from pybuild.builder.store.store import Store, open_store
from tests.helpers.docker_daemon import FakeDaemon
from tests.helpers.images import tiny_image


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    store = open_store(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def image(store: Store) -> Image:
    return tiny_image(store.blobs, {"a": b"1"}, {"b": b"2"}, {"c": b"3"})


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "socket") as fake:
        yield fake
