import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.archive.load import load
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.layout import Layout
from pybuild.builder.outputs.write import write
from pybuild.builder.request import Output
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import tiny_image

NAMES = ("docker.io/library/tiny:1",)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    store = open_store(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def image(store: Store) -> Image:
    return tiny_image(store.blobs, {"etc/a": b"1", "b": b"2"}, {"etc/a": b"3", ".wh.b": b""})


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_archive_has_the_documents_of_docker_and_of_oci(
    kind: str, store: Store, image: Image, tmp_path: Path
) -> None:
    write(image.descriptor, NAMES, (Output(type=kind, dest=tmp_path / "x.tar"),), store)
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert {"oci-layout", "index.json", "manifest.json"} <= set(tar.getnames())
    with (tmp_path / "x.tar").open("rb") as file:
        (loaded,) = load(BlobStore(tmp_path / "other"), file)
    assert (loaded.names, loaded.descriptor.digest) == (NAMES, image.descriptor.digest)


@pytest.mark.parametrize("false", ["false", "F"])
def test_an_oci_folder_is_a_layout_that_grows(store: Store, image: Image, tmp_path: Path, false: str) -> None:
    output = Output(type="oci", dest=tmp_path / "layout", options=(("tar", false),))
    write(image.descriptor, NAMES, (output,), store)
    second = tiny_image(store.blobs, {"c": b""})
    write(second.descriptor, (), (output,), store)
    entries = Layout(tmp_path / "layout").entries()
    assert [(name, entry.digest) for name, entry in entries] == [
        (NAMES[0], image.descriptor.digest),
        ("", second.descriptor.digest),
    ]
    assert sorted(os.listdir(tmp_path / "layout")) == ["blobs", "index.json", "oci-layout"]
    assert len(os.listdir(tmp_path / "layout" / "blobs" / "sha256")) == 7


def test_the_root_file_system_goes_to_a_folder_and_to_an_archive(store: Store, image: Image, tmp_path: Path) -> None:
    outputs = (Output(type="local", dest=tmp_path / "out"), Output(type="tar", dest=tmp_path / "x.tar"))
    write(image.descriptor, (), outputs, store)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["a", "etc"]
    assert (tmp_path / "out" / "etc" / "a").read_text() == "3"
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getnames() == ["etc", "etc/a"]


def test_no_destination_is_standard_output(
    store: Store, image: Image, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    write(image.descriptor, NAMES, (Output(type="docker", dest=None),), store)
    with tarfile.open(fileobj=io.BytesIO(capfdbinary.readouterr().out)) as tar:
        content = tar.extractfile("manifest.json")
        assert content is not None
        assert json.load(content)[0]["RepoTags"] == ["tiny:1"]


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (Output(type="local", dest=None), "needs dest"),
        (Output(type="floppy", dest=None), "unknown output type"),
        (Output(type="local", dest=Path("/dev/null")), "is not a folder"),
        (Output(type="tar", dest=Path("/tmp")), "is a folder"),
    ],
)
def test_a_place_that_cannot_take_the_image_is_refused(
    output: Output, problem: str, store: Store, image: Image
) -> None:
    with pytest.raises(RequestError, match=problem):
        write(image.descriptor, NAMES, (output,), store)
