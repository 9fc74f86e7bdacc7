import io
import json
import os
import re
import tarfile
from pathlib import Path

import pytest

from pybuild.builder.cli.flags.image import ImageFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.archive.load import load
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.layout import Layout
from pybuild.builder.outputs import kinds
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.image import ImageOutput
from pybuild.builder.outputs.kinds import Kind, parse, with_shape, write
from pybuild.builder.outputs.load import LoadOutput
from pybuild.builder.outputs.local import LocalOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.outputs.options import read
from pybuild.builder.outputs.registry import RegistryOutput
from pybuild.builder.outputs.tar import TarOutput
from pybuild.builder.request import Output, Shape
from pybuild.builder.store.store import Store
from pybuild.runtime.values import fields
from tests.helpers.images import tiny_image

NAMES = ("docker.io/library/tiny:1",)


@pytest.fixture
def image(store: Store) -> Image:
    return tiny_image(store.blobs, {"etc/a": b"1", "b": b"2"}, {"etc/a": b"3", ".wh.b": b""})


@pytest.mark.parametrize("text", ["oci", "docker", "tar", "local", "registry", "image", "cacheonly"])
def test_an_output_that_writes_the_image_has_a_shape(text: str) -> None:
    output, shape = parse(read(f"type={text},dest=x,name=a")), Shape(docker=True)
    assert output.writes_image == (with_shape(output, shape).shape == shape)


def test_the_help_names_each_type_but_the_default() -> None:
    texts = [each.metadata["with"].get("help", "") for each in fields(ImageFlags) if each.name == "outputs"]
    listed = set(re.findall(r"[a-z]+", texts[0].partition("type=")[2]))
    assert listed >= {name for name in kinds._PARSERS if name not in {"image", "cacheonly"}}


@pytest.mark.parametrize("kind", [OciOutput, DockerOutput])
def test_an_archive_has_the_documents_of_docker_and_of_oci(
    kind: type[OciOutput | DockerOutput], store: Store, image: Image, tmp_path: Path
) -> None:
    write((NAMES, image.descriptor), (kind(dest=tmp_path / "x.tar"),), store)
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert {"oci-layout", "index.json", "manifest.json"} <= set(tar.getnames())
    with (tmp_path / "x.tar").open("rb") as file:
        (loaded,) = load(BlobStore(tmp_path / "other"), file)
    assert (loaded.names, loaded.descriptor.digest) == (NAMES, image.descriptor.digest)


@pytest.mark.parametrize("false", ["f", "F", "0", "false", "False", "FALSE"])
def test_an_oci_directory_is_a_layout_that_grows(store: Store, image: Image, tmp_path: Path, false: str) -> None:
    output = parse(read(f"type=oci,dest={tmp_path}/layout,tar={false}"))
    write((NAMES, image.descriptor), (output,), store)
    second = tiny_image(store.blobs, {"c": b""})
    write(((), second.descriptor), (output,), store)
    entries = Layout(tmp_path / "layout").entries()
    assert [(name, entry.digest) for name, entry in entries] == [
        (NAMES[0], image.descriptor.digest),
        ("", second.descriptor.digest),
    ]
    assert sorted(os.listdir(tmp_path / "layout")) == ["blobs", "index.json", "oci-layout"]
    assert len(os.listdir(tmp_path / "layout" / "blobs" / "sha256")) == 7


def test_the_root_file_system_goes_to_a_directory_and_to_an_archive(store: Store, image: Image, tmp_path: Path) -> None:
    outputs = (LocalOutput(dest=tmp_path / "out"), TarOutput(dest=tmp_path / "x.tar"))
    write(((), image.descriptor), outputs, store)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["a", "etc"]
    assert (tmp_path / "out" / "etc" / "a").read_text() == "3"
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getnames() == ["etc", "etc/a"]


def test_no_destination_is_standard_output(
    store: Store, image: Image, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    write((NAMES, image.descriptor), (DockerOutput(),), store)
    with tarfile.open(fileobj=io.BytesIO(capfdbinary.readouterr().out)) as tar:
        content = tar.extractfile("manifest.json")
        assert content is not None
        assert json.load(content)[0]["RepoTags"] == ["tiny:1"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("out", LocalOutput(dest=Path("out"))),
        ("a=b", LocalOutput(dest=Path("a=b"))),
        ("-", TarOutput()),
        ("type=local,dest=a/b,mode=delete,platform-split=T", LocalOutput(dest=Path("a/b"), delete=True, split=True)),
        ('type=oci,"dest=a,b.tar"', OciOutput(dest=Path("a,b.tar"))),
        ("type=tar", TarOutput()),
        ("type=tar,dest=-,platform-split=0", TarOutput(split=False)),
        ("Type=docker,dest=x,compression=zstd", DockerOutput(dest=Path("x"))),
        ("type=docker,dest=-", DockerOutput()),
        ("type=docker", LoadOutput()),
        ("type=cacheonly", ImageOutput()),
        ("type=registry,registry.insecure=t", RegistryOutput(insecure=True)),
        ("type=image,push=true,name=a,push-by-digest=1", RegistryOutput(by_digest=True)),
        ("type=image,name=a/b,push=F", ImageOutput()),
        ("type=oci,dest=d,tar=f", OciOutput(dest=Path("d"), layout=True)),
    ],
)
def test_outputs_have_the_grammar_of_docker(given: str, expected: Kind) -> None:
    # A path alone is one field without a type, whatever characters it has.
    assert parse(read(given)) == expected


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("", "type is required"),
        ("dest=x,foo=y", "type is required"),
        ("type=oci,dest", "invalid value 'dest'"),
        ('type=oci,"dest=x', "unexpected end of data"),
        ("type=nope,dest=x", "unknown --output type"),
        ("type=local", "needs dest"),
        ("type=local,dest=-", "needs dest"),
        ("type=local,dest=x,mode=move", "type=local has no mode=move"),
        ("type=tar,dest=x,mode=delete", "type=tar has no mode=delete"),
        ("type=oci,dest=x,push=true", "type=oci cannot push"),
        ("type=cacheonly,push=true", "type=cacheonly cannot push"),
        ("type=oci,tar=false", "tar=false"),
        ("type=tar,dest=x,tar=false", "tar=false"),
        ("type=oci,dest=x,tar=maybe", "tar=maybe"),
        ("type=oci,dest=x,tar=fALSE", "tar=fALSE"),
        ("type=registry,push-by-digest=maybe", "push-by-digest=maybe"),
        ("type=registry,registry.insecure=yes", "registry.insecure=yes"),
        ("type=local,dest=x,platform-split=no", "platform-split=no"),
        ("type=local,dest=x,push-by-digest=no", "push-by-digest=no"),
    ],
)
def test_an_output_that_cannot_be_is_refused(given: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        parse(read(given))


def test_what_writes_images_has_a_shape() -> None:
    docker = Shape(docker=True)
    assert with_shape(OciOutput(), docker) == OciOutput(shape=docker)
    assert with_shape(TarOutput(), docker).shape == Shape()


def test_an_output_of_no_known_kind_is_refused(store: Store, image: Image) -> None:
    with pytest.raises(TypeError, match="not a kind of output"):
        write((NAMES, image.descriptor), (Output(),), store)


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (LocalOutput(dest=Path("/dev/null")), "is not a directory"),
        (OciOutput(dest=Path("/dev/null"), layout=True), "is not a directory"),
        (TarOutput(dest=Path("/tmp")), "is a directory"),
    ],
)
def test_a_place_that_cannot_take_the_image_is_refused(
    output: Output, problem: str, store: Store, image: Image
) -> None:
    with pytest.raises(RequestError, match=problem):
        write((NAMES, image.descriptor), (output,), store)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: LocalOutput(dest="out"), "invalid dest: expected Path, not str"),
        (lambda: LocalOutput(dest=Path("out"), delete=1), "invalid delete: expected bool, not int"),
        (lambda: TarOutput(dest="out"), "invalid dest: expected Path or None, not str"),
        (lambda: OciOutput(dest="out"), "invalid dest: expected Path or None, not str"),
        (lambda: OciOutput(layout=True), "a layout needs dest=DIR"),
        (lambda: DockerOutput(layout="no"), "invalid layout: expected bool, not str"),
        (lambda: RegistryOutput(by_digest="no"), "invalid by_digest: expected bool, not str"),
        (lambda: ImageOutput(shape=None), "invalid shape: expected Shape, not NoneType"),
    ],
)
def test_a_wrong_output_is_refused_when_it_is_made(made, message):
    with pytest.raises(RequestError) as caught:
        made()
    assert message in str(caught.value)
