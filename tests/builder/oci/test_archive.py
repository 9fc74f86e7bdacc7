import gzip
import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from pybuild.builder.oci import media
from pybuild.builder.oci.archive.files import take_files
from pybuild.builder.oci.archive.load import Loaded, load
from pybuild.builder.oci.archive.save import save
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import BlobNotFound, DigestMismatch, InvalidImage, OciError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.layout import CONTAINERD_NAME, REF_NAME
from pybuild.builder.oci.model import Descriptor, Index, Manifest
from pybuild.builder.oci.validate import validate, validate_store
from tests.helpers.images import ARM64, docker_archive, tar_of, tiny_config, tiny_image, tiny_index

APP, OTHER = "docker.io/library/app:latest", "example.com/team/other:1.0"
ONE, TWO = {"a": b"1" * 10_000}, {"b": b"2"}


class Pipe:
    """A stream that can only be read, in small pieces, once."""

    def __init__(self, content: bytes) -> None:
        self._source = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._source.read(min(size, 1000))


def saved(blobs: BlobStore, *images: tuple[tuple[str, ...], Descriptor]) -> bytes:
    output = io.BytesIO()
    save(blobs, images, output.write)
    return output.getvalue()


def files_of(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def layout_of(blobs: BlobStore, *entries: Descriptor) -> dict[str, bytes]:
    """The files of a plain OCI layout of everything in *blobs*."""
    files = {f"blobs/sha256/{digest.hex}": blobs.path(digest).read_bytes() for digest in blobs.digests()}
    return {**files, "index.json": Index(manifests=entries).to_json(), "oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}


def test_what_was_saved_can_be_loaded(source: BlobStore, blobs: BlobStore) -> None:
    one, two = tiny_image(source, ONE), tiny_image(source, ONE, TWO)
    archive = saved(source, ((APP, OTHER), one.descriptor), ((), two.descriptor))
    assert load(blobs, Pipe(archive)) == (
        Loaded(names=(APP, OTHER), descriptor=one.descriptor),
        Loaded(names=(), descriptor=two.descriptor),
    )
    assert sorted(blobs.digests()) == sorted(source.digests())
    assert validate_store(blobs.root) == []


def test_the_same_images_give_the_same_archive(source: BlobStore, tmp_path: Path) -> None:
    again = BlobStore(tmp_path / "again")
    image = ((APP,), tiny_image(source, ONE, TWO).descriptor)
    assert ((APP,), tiny_image(again, ONE, TWO).descriptor) == image
    assert saved(source, image) == saved(again, image)


def test_an_archive_holds_each_blob_once_and_the_tables_of_both_worlds(source: BlobStore) -> None:
    one, two = tiny_image(source, ONE), tiny_image(source, ONE, TWO)
    archive = saved(source, ((APP, OTHER), one.descriptor), ((), two.descriptor))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()
        assert {member.mtime for member in tar} == {0}
    assert len(names) == len(set(names))
    assert names[:5] == ["oci-layout", "index.json", "manifest.json", "blobs", "blobs/sha256"]
    files = files_of(archive)
    shared = f"blobs/sha256/{one.manifest.layers[0].digest.hex}"
    assert json.loads(files["manifest.json"]) == [
        {
            "Config": f"blobs/sha256/{one.id.hex}",
            "RepoTags": ["app:latest", "example.com/team/other:1.0"],
            "Layers": [shared],
        },
        {
            "Config": f"blobs/sha256/{two.id.hex}",
            "RepoTags": None,
            "Layers": [shared, f"blobs/sha256/{two.manifest.layers[1].digest.hex}"],
        },
    ]
    entries = json.loads(files["index.json"])["manifests"]
    assert [entry.get("annotations") for entry in entries] == [
        {CONTAINERD_NAME: APP, REF_NAME: "latest"},
        {CONTAINERD_NAME: OTHER, REF_NAME: "1.0"},
        None,
    ]


def test_a_damaged_blob_never_gets_into_an_archive(source: BlobStore) -> None:
    image = tiny_image(source, ONE)
    path = source.path(image.manifest.layers[0].digest)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DigestMismatch):
        saved(source, ((APP,), image.descriptor))


def test_an_image_for_several_platforms_is_saved_whole(source: BlobStore, blobs: BlobStore) -> None:
    index = tiny_index(source, tiny_image(source, ONE), tiny_image(source, TWO, platform=ARM64))
    assert load(blobs, Pipe(saved(source, ((APP,), index)))) == (Loaded(names=(APP,), descriptor=index),)
    assert validate(blobs, index) == []


@pytest.mark.parametrize("old", [False, True])
def test_an_archive_of_docker_is_loaded_with_its_image_id(blobs: BlobStore, old: bool) -> None:
    archive = docker_archive(["app:latest", "other:1"], ONE, TWO, ONE, old=old)
    (loaded,) = load(blobs, Pipe(archive))
    assert loaded.names == ("app:latest", "other:1")
    image = read_image(blobs, loaded.descriptor)
    assert image.id == Digest.of(tiny_config([tar_of(ONE), tar_of(TWO), tar_of(ONE)]).to_json())
    assert {layer.media_type for layer in image.manifest.layers} == {media.OCI_LAYER_GZIP}
    assert image.manifest.layers[0] == image.manifest.layers[2]
    assert gzip.decompress(blobs.path(image.manifest.layers[1].digest).read_bytes()) == tar_of(TWO)
    assert validate(blobs, loaded.descriptor) == []


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_the_archive_itself_may_be_compressed(blobs: BlobStore, compress: "object") -> None:
    assert callable(compress)
    (loaded,) = load(blobs, Pipe(compress(docker_archive([], ONE))))
    assert loaded.names == ()
    assert validate(blobs, loaded.descriptor) == []


def test_compressed_layers_in_an_archive_of_docker_stay_as_they_are(blobs: BlobStore) -> None:
    tar = tar_of(ONE)
    layer = zstandard.ZstdCompressor().compress(tar)
    table = [{"Config": "c.json", "Layers": ["x.tar"]}]
    files = {"x.tar": layer, "c.json": tiny_config([tar]).to_json(), "manifest.json": json.dumps(table).encode()}
    (loaded,) = load(blobs, Pipe(tar_of(files)))
    (stored,) = read_image(blobs, loaded.descriptor).manifest.layers
    assert (stored.digest, stored.media_type) == (Digest.of(layer), media.OCI_LAYER_ZSTD)
    assert validate(blobs, loaded.descriptor) == []


def test_several_images_of_one_archive_are_loaded(blobs: BlobStore) -> None:
    one, two = files_of(docker_archive(["a:1"], ONE)), files_of(docker_archive(["b:1"], TWO))
    two = {name.replace("0/", "f/"): content for name, content in two.items()}
    tables = [{**json.loads(one["manifest.json"])[0]}, {**json.loads(two["manifest.json"].replace(b"0/", b"f/"))[0]}]
    archive = tar_of({**one, **two, "manifest.json": json.dumps(tables).encode()})
    loaded = load(blobs, Pipe(archive))
    assert [image.names for image in loaded] == [("a:1",), ("b:1",)]
    assert [problem for image in loaded for problem in validate(blobs, image.descriptor)] == []


def test_plain_layers_of_a_newer_docker_are_compressed_and_the_image_id_stays(blobs: BlobStore) -> None:
    tar = tar_of(ONE)
    config = tiny_config([tar]).to_json()
    manifest = Manifest(
        config=Descriptor(media_type=media.OCI_CONFIG, digest=Digest.of(config), size=len(config)),
        layers=(Descriptor(media_type=media.OCI_LAYER, digest=Digest.of(tar), size=len(tar)),),
    ).to_json()
    entry = Descriptor(media_type=media.OCI_MANIFEST, digest=Digest.of(manifest), size=len(manifest))
    named = replace(entry, annotations={CONTAINERD_NAME: APP, REF_NAME: "latest"})
    path = f"blobs/sha256/{Digest.of(tar).hex}"
    table = [{"Config": f"blobs/sha256/{Digest.of(config).hex}", "RepoTags": ["app:latest"], "Layers": [path]}]
    files = {f"blobs/sha256/{Digest.of(raw).hex}": raw for raw in (tar, config, manifest)}
    files |= {"index.json": Index(manifests=(named,)).to_json(), "manifest.json": json.dumps(table).encode()}
    (loaded,) = load(blobs, Pipe(tar_of(files)))
    assert loaded.names == (APP,)
    image = read_image(blobs, loaded.descriptor)
    assert image.id == Digest.of(config)
    assert image.manifest.layers[0].media_type == media.OCI_LAYER_GZIP
    assert not blobs.exists(Digest.of(tar))
    assert validate_store(blobs.root) == []


def test_of_an_index_only_what_is_there_is_loaded(source: BlobStore, blobs: BlobStore) -> None:
    mine, other = tiny_image(source, ONE), tiny_image(source, TWO, platform=ARM64)
    index = tiny_index(source, mine, other)
    source.remove(other.manifest.layers[0].digest)
    (loaded,) = load(blobs, Pipe(tar_of(layout_of(source, index))))
    assert loaded.descriptor == mine.descriptor
    assert validate(blobs, loaded.descriptor) == []


def test_artifacts_beside_an_image_are_kept_with_their_index(source: BlobStore, blobs: BlobStore) -> None:
    image = tiny_image(source, ONE)
    statement = source.put(b'{"_type":"x"}', "application/vnd.in-toto+json")
    config = source.put(tiny_config([]).to_json(), media.OCI_CONFIG)
    attestation = source.put(Manifest(config=config, layers=(statement,)).to_json(), media.OCI_MANIFEST)
    index = source.put(Index(manifests=(image.descriptor, attestation)).to_json(), media.OCI_INDEX)
    (loaded,) = load(blobs, Pipe(tar_of(layout_of(source, index))))
    assert loaded.descriptor == index
    assert sorted(blobs.digests()) == sorted(source.digests())
    assert validate(blobs, index) == []


def test_an_image_with_a_missing_layer_is_refused(source: BlobStore, blobs: BlobStore) -> None:
    image = tiny_image(source, ONE)
    source.remove(image.manifest.layers[0].digest)
    with pytest.raises(BlobNotFound, match=image.manifest.layers[0].digest.hex):
        load(blobs, Pipe(tar_of(layout_of(source, image.descriptor))))
    assert list(blobs.digests()) == []


def test_layers_that_do_not_belong_to_the_config_are_refused(blobs: BlobStore) -> None:
    files = files_of(docker_archive([], ONE, TWO))
    table = json.loads(files["manifest.json"])
    wrong: list[list[str]] = [table[0]["Layers"][::-1], table[0]["Layers"][:1], []]
    for layers in wrong:
        changed = {**files, "manifest.json": json.dumps([{**table[0], "Layers": layers}]).encode()}
        with pytest.raises(OciError, match="diff ID"):
            load(blobs, Pipe(tar_of(changed)))
    assert not [d for d in blobs.digests() if blobs.path(d).read_bytes().startswith(b"{")]


def test_a_file_that_is_not_what_its_name_says_is_refused(source: BlobStore, blobs: BlobStore) -> None:
    image = tiny_image(source, ONE)
    files = layout_of(source, image.descriptor)
    for digest in source.digests():
        path = f"blobs/sha256/{digest.hex}"
        flipped = files[path][:-1] + bytes([files[path][-1] ^ 1])
        with pytest.raises(OciError):
            load(blobs, Pipe(tar_of({**files, path: flipped})))
        assert not blobs.exists(digest) or digest == image.manifest.layers[0].digest


def test_links_lead_nowhere_but_into_the_archive(source: BlobStore, blobs: BlobStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(tar_of({"secret": b"x"}))
    config = tiny_config([secret.read_bytes()]).to_json()
    for target in (str(secret), f"../../..{secret}", "x.tar", "/proc/self/fd/0"):
        table = [{"Config": "c.json", "Layers": ["x.tar"]}]
        files = {"c.json": config, "manifest.json": json.dumps(table).encode()}
        with pytest.raises(BlobNotFound):
            load(blobs, Pipe(tar_of(files, {"x.tar": target})))
    image = tiny_image(source, ONE)
    files = layout_of(source, image.descriptor)
    path = f"blobs/sha256/{image.id.hex}"
    files["elsewhere"] = files.pop(path)
    with pytest.raises(BlobNotFound):
        load(blobs, Pipe(tar_of(files, {path: "../../elsewhere"})))
    assert list(blobs.digests()) in ([], [image.manifest.layers[0].digest])


def test_links_in_a_circle_lead_nowhere(blobs: BlobStore) -> None:
    files = {"manifest.json": json.dumps([{"Config": "c.json", "Layers": ["x.tar"]}]).encode()}
    for links in ({"c.json": "c.json", "x.tar": "x.tar"}, {"c.json": "d", "d": "c.json", "x.tar": "y", "y": "x.tar"}):
        with pytest.raises(BlobNotFound):
            load(blobs, Pipe(tar_of(files, links)))


def test_each_file_of_a_layout_is_compared_with_its_name(blobs: BlobStore) -> None:
    digest = Digest.of(b"{}")
    assert take_files(blobs, Pipe(tar_of({f"blobs/{digest.algorithm}/{digest.hex}": b"{}"}))).documents
    for content in (b"[]", gzip.compress(b"{}"), tar_of({"f": b"x"})):
        with pytest.raises(DigestMismatch):
            take_files(blobs, Pipe(tar_of({f"blobs/{digest.algorithm}/{digest.hex}": content})))
    assert list(blobs.digests()) == []


@pytest.mark.parametrize("name", ["../../index.json", "/index.json", "./index.json"])
def test_names_that_climb_mean_names_inside_the_archive(source: BlobStore, blobs: BlobStore, name: str) -> None:
    image = tiny_image(source, ONE)
    files = layout_of(source, image.descriptor)
    files[name] = files.pop("index.json")
    (loaded,) = load(blobs, Pipe(tar_of(files)))
    assert loaded.descriptor == image.descriptor


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"readme": b"hello"},
        {"manifest.json": b"{}"},
        {"manifest.json": b'[{"Config":"gone"}]'},
        {"manifest.json": b'[{"Config":"../../etc/passwd","Layers":["/etc/passwd"]}]'},
        {"index.json": b"[" * 100_000},
        {"index.json": b'{"schemaVersion":2,"manifests":[],"layers":[]}'},
    ],
)
def test_what_is_no_image_archive_is_refused(blobs: BlobStore, files: dict[str, bytes]) -> None:
    with pytest.raises(OciError):
        load(blobs, Pipe(tar_of(files)))
    assert list(blobs.digests()) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b\x08", bytes(512), b"x" * 5000])
def test_what_is_no_archive_is_refused(blobs: BlobStore, content: bytes) -> None:
    with pytest.raises(InvalidImage):
        load(blobs, Pipe(content))


def test_an_archive_that_ends_early_is_refused(blobs: BlobStore) -> None:
    archive = docker_archive([], ONE, TWO)
    for end in range(0, archive.rindex(b"manifest.json") + 512, 512):
        with pytest.raises(OciError):
            load(blobs, Pipe(archive[:end]))


def test_a_file_that_comes_twice_is_refused(blobs: BlobStore) -> None:
    first = docker_archive([], ONE)
    with pytest.raises(InvalidImage, match="twice"):
        load(
            blobs,
            Pipe(first[: -len(first) % 512 or None].rstrip(b"\0") + bytes(-len(first.rstrip(b"\0")) % 512) + first),
        )


def test_documents_in_memory_have_a_limit(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybuild.builder.oci.archive.files.DOCUMENTS_LIMIT", 100_000)
    with pytest.raises(InvalidImage, match="more than 100000 bytes of documents"):
        load(blobs, Pipe(tar_of({f"{n}.json": b"{}" for n in range(200)})))


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_what_was_saved_and_the_store_itself(source: BlobStore, tmp_path: Path) -> None:
    image = tiny_image(source, ONE, TWO)
    archive = tmp_path / "image.tar"
    archive.write_bytes(saved(source, ((APP,), image.descriptor)))
    from pybuild.builder.oci.layout import Layout

    Layout(source.root).tag(APP, image.descriptor)
    for place in (f"docker-archive:{archive}:app:latest", f"oci-archive:{archive}:latest", f"oci:{source.root}:{APP}"):
        ran = subprocess.run(["skopeo", "inspect", "--no-tags", place], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert len(json.loads(ran.stdout)["Layers"]) == 2


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_what_skopeo_writes_is_loaded(source: BlobStore, blobs: BlobStore, tmp_path: Path, kind: str) -> None:
    image = tiny_image(source, ONE, TWO)
    (tmp_path / "image.tar").write_bytes(saved(source, ((APP,), image.descriptor)))
    policy = tmp_path / "policy.json"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    places = [f"oci-archive:{tmp_path / 'image.tar'}:latest", f"{kind}:{tmp_path / 'copy.tar'}:app:latest"]
    subprocess.run(["skopeo", "--policy", policy, "copy", *places], check=True, capture_output=True)
    with (tmp_path / "copy.tar").open("rb") as stream:
        (loaded,) = load(blobs, stream)
    found = read_image(blobs, loaded.descriptor)
    assert found.config.diff_ids == image.config.diff_ids
    assert found.config.config == image.config.config
    assert validate(blobs, loaded.descriptor) == []
