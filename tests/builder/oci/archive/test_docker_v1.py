import io
import json

import pytest

from pybuild.builder.oci.archive.load import load
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.validate import validate
from tests.helpers.images import tar_of

LOW, TOP = "1" * 64, "2" * 64
FILES = {
    "repositories": json.dumps({"app": {"latest": TOP, "1": TOP}, "base": {"latest": LOW}}).encode(),
    f"{LOW}/json": json.dumps({"id": LOW, "created": "2014-01-02T03:04:05Z", "author": "someone"}).encode(),
    f"{LOW}/layer.tar": tar_of({"a": b"1"}),
    f"{LOW}/VERSION": b"1.0",
    f"{TOP}/json": json.dumps({
        "id": TOP,
        "parent": LOW,
        "config": {"Env": ["A=b"], "Cmd": ["sh"], "Volumes": None},
        "container_config": {"Cmd": ["/bin/sh", "-c", "make"]},
        "architecture": "arm64",
    }).encode(),
    f"{TOP}/layer.tar": tar_of({"b": b"2"}),
}  # fmt: skip


def test_an_archive_without_a_table_is_loaded_by_its_repositories(blobs: BlobStore) -> None:
    app, base = load(blobs, io.BytesIO(tar_of(FILES)))
    assert app.names == ("app:1", "app:latest")
    assert base.names == ("base:latest",)
    image = read_image(blobs, app.descriptor)
    assert (image.config.os, image.config.architecture) == ("linux", "arm64")
    assert image.config.config.env == ("A=b",)
    assert [entry.created_by for entry in image.config.history] == ["", "/bin/sh -c make"]
    assert image.config.history[0].author == "someone"
    assert image.manifest.layers[:1] == read_image(blobs, base.descriptor).manifest.layers
    assert validate(blobs, app.descriptor) == []
    assert validate(blobs, base.descriptor) == []


@pytest.mark.parametrize(
    "changes",
    [
        {f"{LOW}/json": json.dumps({"id": LOW, "parent": TOP}).encode()},
        {f"{LOW}/json": json.dumps({"id": LOW, "parent": LOW}).encode()},
        {f"{LOW}/json": json.dumps({"id": LOW, "parent": "../../etc"}).encode()},
        {f"{LOW}/layer.tar": b"no layer"},
        {f"{TOP}/json": b"[]"},
        {"repositories": b'{"app":{"latest":3}}'},
        {"repositories": b'{"app":{"latest":"../x"}}'},
        {"repositories": b'{"app":"x"}'},
    ],
)
def test_a_broken_chain_of_layers_is_refused(blobs: BlobStore, changes: dict[str, bytes]) -> None:
    with pytest.raises(OciError):
        load(blobs, io.BytesIO(tar_of({**FILES, **changes})))
    assert not [d for d in blobs.digests() if blobs.path(d).read_bytes().startswith(b"{")]
