from pathlib import Path

import pytest

from pybuild.builder.errors import LoadFailed
from pybuild.builder.oci.image import Image
from pybuild.builder.outputs.engines.address import parse_address
from pybuild.builder.outputs.engines.docker import connect
from pybuild.builder.store.store import Store
from tests.helpers.docker_daemon import FakeDaemon
from tests.helpers.images import tiny_image

NAMES = ("docker.io/library/tiny:1",)


def loaded(daemon: FakeDaemon, store: Store, *images: Image) -> list[int]:
    """The layers of the first of *images*, by number, that each archive has that was sent."""
    named = [(NAMES, each.descriptor) for each in images]
    connect(parse_address(daemon.address)).load(named, store, lambda *_: None)
    layers = [f"blobs/sha256/{each.digest.hex}" for each in images[0].manifest.layers]
    return [layers.index(name) for name in layers if name in daemon.loaded[-1]]


def diff_ids(image: Image) -> tuple[str, ...]:
    return tuple(map(str, image.config.diff_ids))


def test_an_empty_daemon_gets_everything(daemon: FakeDaemon, store: Store, image: Image) -> None:
    assert loaded(daemon, store, image) == [0, 1, 2]
    assert daemon.tables[0][0]["RepoTags"] == ["tiny:1"]


def test_layers_that_the_daemon_has_are_left_out(daemon: FakeDaemon, store: Store, image: Image) -> None:
    daemon.images = {"sha256:1": diff_ids(image)[:2], "sha256:2": ()}
    assert loaded(daemon, store, image) == [2]
    assert len(daemon.tables[0][0]["Layers"]) == 3


def test_a_layer_on_another_one_is_another_one(daemon: FakeDaemon, store: Store, image: Image) -> None:
    daemon.images = {"sha256:1": diff_ids(image)[1:]}
    assert loaded(daemon, store, image) == [0, 1, 2]


def test_a_layer_that_one_image_needs_is_sent(daemon: FakeDaemon, store: Store, image: Image) -> None:
    other = tiny_image(store.blobs, {"b": b"2"})
    assert other.manifest.layers[0].digest == image.manifest.layers[1].digest
    daemon.images = {"sha256:1": diff_ids(image)}
    assert loaded(daemon, store, image, other) == [1]


def test_a_store_of_containerd_gets_everything(daemon: FakeDaemon, store: Store, image: Image) -> None:
    daemon.images = {"sha256:1": diff_ids(image)}
    daemon.driver = (("driver-type", "io.containerd.snapshotter.v1"),)
    assert loaded(daemon, store, image) == [0, 1, 2]


def test_another_server_of_the_api_gets_everything(daemon: FakeDaemon, store: Store, image: Image) -> None:
    daemon.images = {"sha256:1": diff_ids(image)}
    daemon.engine = "Podman Engine"
    assert loaded(daemon, store, image) == [0, 1, 2]


@pytest.mark.parametrize(("path", "strange"), [("/info", [1]), ("/images/json", {"Id": 1}), ("/images/json", [1, {}])])
def test_a_daemon_with_strange_answers_gets_everything(
    daemon: FakeDaemon, store: Store, image: Image, monkeypatch: pytest.MonkeyPatch, path: str, strange: object
) -> None:
    daemon.images = {"sha256:1": diff_ids(image)}
    usual = daemon.found
    monkeypatch.setattr(daemon, "found", lambda asked: strange if path in asked else usual(asked))
    assert loaded(daemon, store, image) == [0, 1, 2]


def test_a_daemon_is_asked_once_what_it_is(
    daemon: FakeDaemon, store: Store, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    usual = daemon.found
    monkeypatch.setattr(daemon, "found", lambda path: asked.append(path) or usual(path))
    loaded(daemon, store, image)
    assert (asked.count("/version"), asked.count("/info")) == (1, 1)


def test_what_was_removed_meanwhile_is_sent_again(daemon: FakeDaemon, store: Store, image: Image) -> None:
    daemon.images = {"sha256:1": diff_ids(image)}
    complete = {f"blobs/sha256/{each.digest.hex}" for each in image.manifest.layers}

    def answer(files: set[str]) -> tuple[int, bytes]:
        good = complete <= files
        return (200, b'{"stream":"Loaded"}') if good else (500, b'{"message":"open layer: no such file or directory"}')

    daemon.answer = answer
    assert loaded(daemon, store, image) == [0, 1, 2]
    assert len(daemon.loaded) == 2


@pytest.mark.parametrize(
    "answer",
    [
        (500, b'{"message":"the disk is full"}'),
        (200, b'{"stream":"x"}\n{"errorDetail":{"message":"the disk is full"},"error":"the disk is full"}\n'),
    ],
)
def test_a_refusal_has_the_message_of_the_daemon(
    daemon: FakeDaemon, store: Store, image: Image, answer: tuple[int, bytes]
) -> None:
    daemon.answer = lambda _files: answer
    with pytest.raises(LoadFailed, match="the disk is full"):
        loaded(daemon, store, image)


def test_without_a_daemon_the_error_names_the_address(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=rf"unix://{tmp_path}/none: no such file or directory"):
        connect(parse_address(f"unix://{tmp_path}/none"))
