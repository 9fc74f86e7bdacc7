"""A base image that is unpacked while it is pulled."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybuild.builder.errors import BuildError, PullFailed
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.partial_blobs import resumed
from pybuild.builder.progress import StepStarted
from pybuild.builder.store.cache import Layers, image_layers
from pybuild.builder.store.store import open_store
from tests.helpers.fake_execute import Site
from tests.helpers.images import tiny_image

PATIENCE = 60
LARGE = 8 << 20
RUN = "FROM base\nRUN write /a 1\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    (tmp_path / "context").mkdir()
    with open_store(tmp_path / "store") as store:
        yield Site(store=store, context=tmp_path / "context")


class Download:
    """The registry that has the layers of the base: `pull` delivers the missing ones, in two parts each."""

    def __init__(self, site: Site) -> None:
        self._site = site
        image = tiny_image(site.store.blobs, {"first": b"1", "noise": os.urandom(LARGE)}, {"last": b"2"})
        site.store.layout.tag("docker.io/library/base:latest", image.descriptor)
        self.layers: Layers = image_layers(image)
        self.content = {layer.digest: site.store.blobs.path(layer.digest).read_bytes() for layer in self.layers}
        self.between: Callable[[Descriptor], None] = lambda _layer: None
        """Called when the first part of a layer has arrived."""
        for layer in self.layers:
            site.store.blobs.remove(layer.digest)

    def pull(self, _op: object, store: object, progress: Callable[[str, int, int], None], *_: object) -> None:
        """Stand in for `builder.sources.bases.pull_layers`."""
        assert store is self._site.store
        blobs = self._site.store.blobs
        for layer in self.layers:
            digest, data = layer.digest, self.content[layer.digest]
            progress(str(digest), 0, len(data))
            with resumed(blobs, digest) as writer:
                for number, end in enumerate((max(0, len(data) - (1 << 16)), len(data))):
                    writer.write(data[writer.size : end])
                    progress(str(digest), writer.size, len(data))
                    if number == 0:
                        self.between(layer.descriptor)
                writer.commit(digest)

    def unpacked(self, name: str) -> bool:
        """Whether a file of the base is in a snapshot, also an unfinished one."""
        return any(self._site.store.root.rglob(name))

    def count(self) -> int:
        """How many layers have a snapshot."""
        return self._site.store.trees.count(self.layers)


@pytest.fixture
def download(site: Site, monkeypatch: pytest.MonkeyPatch) -> Download:
    made = Download(site)
    monkeypatch.setattr("pybuild.builder.solve.base_images.pull_layers", made.pull)
    return made


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_layer_is_unpacked_before_all_of_it_has_arrived(site: Site, download: Download) -> None:
    seen = []

    def between(layer: Descriptor) -> None:
        if layer.size > LARGE // 2:
            wait_for(lambda: download.unpacked("first"))
            seen.append(download.count())

    download.between = between
    site.solve(RUN)
    assert seen == [0]
    assert download.count() == 2
    # The step of the pull took the time, so there is none for unpacking.
    assert not [event for event in site.events if isinstance(event, StepStarted) and "unpacking" in event.name]


@pytest.mark.parametrize("text", ["FROM base\nCOPY Dockerfile /\n", "FROM base\n", "FROM base\nWORKDIR /a\n"])
def test_a_base_whose_tree_is_not_needed_is_only_pulled(site: Site, download: Download, text: str) -> None:
    site.solve(text)
    assert not download.unpacked("first")
    assert "unpacking" not in [thread.name for thread in threading.enumerate()]


def test_content_that_is_not_that_of_the_diff_id_gets_no_snapshot(site: Site, download: Download) -> None:
    """What was unpacked was not compared with the digest of the blob yet."""
    large = download.layers[0]
    (other,) = image_layers(tiny_image(site.store.blobs, {"first": b"evil", "noise": os.urandom(LARGE - 5000)}))
    wrong = site.store.blobs.path(other.digest).read_bytes()
    # An empty member with a comment makes it as long as the layer.
    comment = bytes(large.size - len(wrong) - 21).replace(b"\0", b"x")
    wrong += b"\x1f\x8b\x08\x10" + bytes(6) + comment + b"\0" + b"\x03" + bytes(9)
    download.content[large.digest] = wrong
    with pytest.raises(Exception, match="has the digest"):
        site.solve(RUN)
    assert download.count() == 0
    assert not download.unpacked("first")


def test_a_download_that_fails_is_the_only_failure_that_is_reported(site: Site, download: Download) -> None:
    def fail(layer: Descriptor) -> None:
        raise PullFailed("the registry is gone")

    download.between = fail
    with pytest.raises(BuildError, match="the registry is gone"):
        site.solve(RUN)
    assert not download.unpacked("first")
    download.between = lambda _layer: None
    site.solve(RUN)
    assert download.count() == 2


def test_what_cannot_be_unpacked_meanwhile_is_unpacked_afterwards(
    site: Site, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("pybuild.builder.oci.partial_blobs.Arriving.open", refuse)
    site.solve(RUN)
    assert download.count() == 2
    assert [event.name for event in site.events if isinstance(event, StepStarted) and "unpacking" in event.name] == [
        "unpacking docker.io/library/base:latest"
    ]
