"""Images into an OCI layout in a directory of the user."""

import json
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.validate import validate
from pybuild.builder.outputs.layout import write_layout
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def names(dest: Path) -> list[str]:
    entries = json.loads((dest / "index.json").read_text())["manifests"]
    return [entry.get("annotations", {}).get("io.containerd.image.name", "") for entry in entries]


def test_an_image_is_written_whole_and_listed_under_its_names(tmp_path: Path) -> None:
    blobs, dest = BlobStore(tmp_path / "from"), tmp_path / "new" / "dest"
    image = tiny_image(blobs, {"a": b"1"})
    write_layout(blobs, image.descriptor, ("docker.io/library/a:1", "docker.io/library/a:2"), dest)
    assert names(dest) == ["docker.io/library/a:1", "docker.io/library/a:2"]
    assert validate(BlobStore(dest), image.descriptor) == []
    assert sorted(path.name for path in dest.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_another_image_is_added_beside_the_first(tmp_path: Path) -> None:
    blobs, dest = BlobStore(tmp_path / "from"), tmp_path / "dest"
    write_layout(blobs, tiny_image(blobs, {"a": b"1"}).descriptor, ("docker.io/library/a:1",), dest)
    index = tiny_index(blobs, *(tiny_image(blobs, {"b": b"2"}, platform=each) for each in (AMD64, ARM64)))
    write_layout(blobs, index, (), dest)
    assert names(dest) == ["docker.io/library/a:1", ""]
    assert validate(BlobStore(dest), index) == []


@pytest.mark.parametrize("name", ["oci-layout", "index.json", "blobs", "tmp", "blobs/sha256"])
def test_nothing_is_written_through_a_symlink(tmp_path: Path, name: str) -> None:
    blobs, dest = BlobStore(tmp_path / "from"), tmp_path / "dest"
    (dest / name).parent.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (dest / name).symlink_to(tmp_path / "outside")
    with pytest.raises(RequestError, match="is a symlink"):
        write_layout(blobs, tiny_image(blobs, {"a": b"1"}).descriptor, (), dest)
    assert list((tmp_path / "outside").iterdir()) == []
