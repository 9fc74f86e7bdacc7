import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.edit.difference import difference, unpacked_archive, with_difference
from pybuild.builder.edit.documents import Documents
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.layers.unpack import entries
from pybuild.builder.oci.validate import validate
from pybuild.builder.request import Compression
from pybuild.builder.store.machine import Machine, open_machine
from tests.helpers.hosts import need_root
from tests.helpers.images import tar_of, tiny_image

ENTRY = {"created": "2024-01-01T00:00:00Z", "created_by": "test", "author": "me"}


@pytest.fixture(params=["copying", "overlay"])
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    if request.param == "overlay":
        need_root()
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", request.param)
    machine = open_machine(tmp_path / "store")
    yield machine
    assert not [name for kind in ("snapshots", "trees") for name in (machine.root / kind).glob("tmp-*")]
    machine.close()


def test_an_archive_of_other_files_is_a_layer_of_changes(machine: Machine) -> None:
    image = tiny_image(machine.blobs, {"same": b"1", "gone/x": b"2", "other": b"3"}, {"upper": b"4"})
    with unpacked_archive(machine, io.BytesIO(tar_of({"same": b"1", "other": b"!", "upper": b"4"}))) as tree:
        layer = difference(machine, image, tree, Compression())
    assert layer is not None
    with machine.blobs.open(layer.descriptor) as stream:
        assert [entry.path for entry in entries(stream)] == [".wh.gone", "other"]
    made = with_difference(Documents.read(machine.blobs, image), layer, ENTRY).write(machine.blobs, image)
    assert validate(machine.blobs, made.descriptor) == []
    assert (made.config.created, made.config.author) == (ENTRY["created"], "me")


def test_the_tree_of_the_image_itself_is_no_difference(machine: Machine) -> None:
    image = tiny_image(machine.blobs, {"a": b"1"})
    tree = machine.snapshots.open(machine.snapshot(image))
    assert difference(machine, image, tree, Compression()) is None
    os.close(tree)


@pytest.mark.parametrize(("raw", "problem"), [(b"no archive" * 100, "failed to unpack"), (bytes(1024), "is empty")])
def test_what_is_no_root_file_system_is_refused(machine: Machine, raw: bytes, problem: str) -> None:
    with pytest.raises(BuildError, match=problem), unpacked_archive(machine, io.BytesIO(raw)):
        raise AssertionError
