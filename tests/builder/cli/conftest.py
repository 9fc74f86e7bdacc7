"""A store of its own for each test of a command, and the command line on it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pybuild.builder.cli import main as cli
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.validate import validate_store
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import Files, tiny_image

BASE: Files = {"etc/motd": b"hello\n", "bin/x": b"x" * 2000}


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True, slots=True)
class Shop:
    """A store with a command line on it."""

    store: Store
    run: Callable[..., Result]

    def image(self, *names: str, layers: tuple[Files, ...] = (BASE,)) -> Image:
        image = tiny_image(self.store.blobs, *layers)
        for name in names:
            self.store.layout.tag(f"docker.io/library/{name}", image.descriptor)
        if not names:
            self.store.layout.keep(image.descriptor)
        return image

    def names(self) -> list[str]:
        return sorted(name for name, _ in self.store.layout.entries())


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the disk 1 TB, most of it free: on one that is nearly full the default limits act after each build."""
    blocks, free = 10**12 // 512, 9 * 10**11 // 512
    status = os.statvfs_result((512, 512, blocks, free, free, 10**6, 10**6, 10**6, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: status)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Shop]:
    for name in [name for name in os.environ if name.startswith(("BUILDKIT_", "PYBUILD_"))]:
        monkeypatch.delenv(name)
    root = tmp_path / "store"
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")

    def run(*arguments: str) -> Result:
        capfd.readouterr()
        code = cli.run(["--root", str(root), *arguments])
        return Result(code, *capfd.readouterr())

    store = open_store(root)
    yield Shop(store, run)
    store.close()
    assert validate_store(root) == []


@pytest.fixture
def no_registry_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the user of this machine has configured about registries."""
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PYBUILD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "none.conf"))
