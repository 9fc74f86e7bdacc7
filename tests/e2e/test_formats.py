"""Media types, compression and names of images, as -o and --format ask for them."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

DOCKER = "application/vnd.docker."
OCI = "application/vnd.oci.image."


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return write_context(tmp_path / "context", {"Dockerfile": "FROM small\nCOPY f /f\n", "f": "f\n"})


def documents(archive: Path) -> tuple[Any, Any]:
    """The entry of index.json and the document that it names, of an archive or a layout."""
    if archive.is_dir():
        entry = json.loads((archive / "index.json").read_text())["manifests"][0]
        return entry, json.loads((archive / "blobs/sha256" / entry["digest"][7:]).read_text())
    with tarfile.open(archive) as tar:
        entry = json.load(tar.extractfile("index.json"))["manifests"][0]  # type: ignore[arg-type]
        return entry, json.load(tar.extractfile("blobs/sha256/" + entry["digest"][7:]))  # type: ignore[arg-type]


def kinds(archive: Path) -> list[str]:
    entry, manifest = documents(archive)
    assert entry["mediaType"] == manifest["mediaType"]
    return [entry["mediaType"], manifest["config"]["mediaType"], *(layer["mediaType"] for layer in manifest["layers"])]


@pytest.mark.parametrize(
    ("options", "start"),
    [
        (("-o", "type=oci,dest={},oci-mediatypes=false"), DOCKER),
        (("-o", "type=docker,dest={},oci-mediatypes=0"), DOCKER),
        (("--format=docker", "-o", "type=oci,dest={}"), DOCKER),
        (("--format=docker", "-o", "type=oci,dest={},oci-mediatypes=true"), OCI),
        (("--format=oci", "-o", "type=docker,dest={}"), OCI),
        (("-o", "type=docker,dest={}"), OCI),
    ],
)
def test_an_archive_has_the_media_types_that_are_asked_for(
    program: Program, context: Path, tmp_path: Path, options: tuple[str, ...], start: str
) -> None:
    archive = tmp_path / "archive.tar"
    program.build(context, *(item.format(archive) for item in options))
    assert [kind for kind in kinds(archive) if not kind.startswith(start)] == []


def test_the_store_keeps_the_image_as_the_output_has_it_and_builds_on_it(
    program: Program, context: Path, tmp_path: Path
) -> None:
    program.build(context, "--format=docker", "--metadata-file", str(tmp_path / "m.json"))
    assert kinds(program.save("built", tmp_path / "saved.tar"))[0] == DOCKER + "distribution.manifest.v2+json"
    described = json.loads((tmp_path / "m.json").read_text())["containerimage.descriptor"]
    assert described["digest"] == documents(tmp_path / "saved.tar")[0]["digest"]
    above = write_context(tmp_path / "above", {"Dockerfile": "FROM built\nCOPY g /g\n", "g": "g\n"})
    program.build(above, "-o", f"type=oci,dest={tmp_path / 'above.tar'}", tag="above")
    assert [kind for kind in kinds(tmp_path / "above.tar") if not kind.startswith(OCI)] == []


def test_several_platforms_with_docker_types_are_a_manifest_list(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "two", {"Dockerfile": "FROM scratch\nCOPY f /f\n", "f": "f\n"})
    layout = tmp_path / "layout"
    program.build(
        context,
        "--platform=linux/amd64,linux/arm64",
        *("-o", f"type=oci,tar=false,dest={layout},oci-mediatypes=false", "--iidfile", str(tmp_path / "id")),
    )
    entry, found = documents(layout)
    assert found["mediaType"] == DOCKER + "distribution.manifest.list.v2+json"
    assert {item["mediaType"] for item in found["manifests"]} == {DOCKER + "distribution.manifest.v2+json"}
    assert (tmp_path / "id").read_text() == entry["digest"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("compression=zstd", ["gzip", "zstd"]),
        ("compression=zstd,force-compression=true", ["zstd", "zstd"]),
        ("compression=uncompressed,force-compression=true", ["tar", "tar"]),
        ("compression=gzip,compression-level=9,force-compression=true", ["gzip", "gzip"]),
    ],
)
def test_new_layers_get_the_compression_and_with_force_all(
    program: Program, context: Path, tmp_path: Path, options: str, wanted: list[str]
) -> None:
    program.build(context, "-o", f"type=oci,dest={tmp_path / 'archive.tar'},{options}")
    assert [kind.rpartition(".")[2].rpartition("+")[2] for kind in kinds(tmp_path / "archive.tar")[2:]] == wanted


def test_outputs_differ_when_their_compression_is_forced(program: Program, context: Path, tmp_path: Path) -> None:
    outputs = [
        f"type=oci,dest={tmp_path / name},compression={name},force-compression=true" for name in ("gzip", "zstd")
    ]
    program.build(context, *(word for item in outputs for word in ("-o", item)))
    assert [kinds(tmp_path / name)[2].rpartition("+")[2] for name in ("gzip", "zstd")] == ["gzip", "zstd"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("oci-mediatypes=false,compression=zstd,force-compression=true",), "zstd"),
        (("oci-mediatypes=false", "--annotation=a=b"), "annotations"),
    ],
)
def test_what_needs_oci_media_types_gets_them_with_a_warning(
    program: Program, context: Path, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    archive = tmp_path / "archive.tar"
    done = program.build(context, "-o", f"type=oci,dest={archive},{options[0]}", *options[1:])
    assert f"WARNING: forcibly turning on oci-mediatype mode for {reason}" in done.printed
    assert not any("docker" in kind for kind in kinds(archive))


def test_a_quiet_build_prints_nothing_besides_an_archive(program: Program, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY f /f\n")
    done = program.run("build", "-q", "-o", "type=tar,dest=-", str(context))
    assert (done.stdout[:2], done.stdout.rstrip("\0")[-2:], done.stdout[-1]) == ("f\0", "f\n", "\0")
    assert "sha256:" not in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format=docker", "--compression=zstd"), "compression=zstd needs OCI media types"),
        (("--format=docker", "--annotation=a=b"), "annotations need OCI media types"),
        (
            ("-o", "type=oci,dest=x,compression=zstd", "-o", "type=oci,dest=y,compression=gzip"),
            "force-compression=true",
        ),
        (("-o", "type=oci,dest=x,oci-mediatypes=perhaps"), "oci-mediatypes=perhaps"),
        (("-o", "type=image,annotation-indx.a=b"), "unknown annotation type 'indx'"),
        (("-o", "type=image,annotation-index.a=b"), "index annotations not supported for single platform export"),
        (("-o", "type=image,annotationx=b"), "invalid --output option 'annotationx'"),
        (("--format=squashfs",), "unknown --format 'squashfs'"),
        (("-o", "type=oci,dest=x,rewrite-timestamp=true"), "no source-date-epoch was found"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_runs(
    program: Program, context: Path, options: tuple[str, ...], message: str
) -> None:
    done = program.build(context, *options, check=False)
    assert done.exit_code == 2
    assert message in done.printed
    assert done.executed == []


def test_annotations_of_an_output_are_those_of_the_flag(program: Program, context: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    program.build(context, "-o", f"type=oci,dest={first},annotation.a=b,annotation-manifest[linux/amd64].c=d")
    assert documents(first)[1]["annotations"] == {"a": "b", "c": "d"}
    program.build(context, "-o", f"type=oci,dest={second}", "--annotation=a=b", "--annotation=c=d")
    assert documents(first)[0]["digest"] == documents(second)[0]["digest"]


def listed(program: Program) -> set[str]:
    table = json.loads((program.store / "index.json").read_text())["manifests"]
    return {entry["annotations"]["io.containerd.image.name"] for entry in table if "annotations" in entry}


def test_the_digest_is_a_name_when_asked_for(program: Program, context: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    program.build(context, "-o", "type=image,name-canonical=true", "-o", f"type=oci,dest={archive}")
    digest = documents(archive)[0]["digest"]
    assert f"docker.io/library/built@{digest}" in listed(program)
    program.run("run", "--rm", f"built@{digest}", "cat", "/f")


def test_an_image_without_a_name_gets_the_prefix(program: Program, context: Path) -> None:
    program.run("build", "-o", "type=image,dangling-name-prefix=loose", str(context))
    (name,) = (name for name in listed(program) if "@" in name)
    assert name.startswith("docker.io/library/loose@sha256:")
    program.run("run", "--rm", name.removeprefix("docker.io/library/"), "cat", "/f")
    done = program.run("build", "-o", "type=image,dangling-name-prefix=A B", str(context), check=False)
    assert (done.returncode, "invalid tag" in done.stderr) == (2, True)


def test_store_false_leaves_no_image_in_the_store(program: Program, context: Path, tmp_path: Path) -> None:
    program.build(context, "-o", f"type=oci,dest={tmp_path / 'archive.tar'},store=false")
    assert "docker.io/library/built:latest" not in listed(program)
    assert documents(tmp_path / "archive.tar")[0]["annotations"]["io.containerd.image.name"].endswith("built:latest")


def test_descriptors_are_annotated_where_they_name_an_image(program: Program, context: Path, tmp_path: Path) -> None:
    archive, layout = tmp_path / "one.tar", tmp_path / "two"
    program.build(context, "-o", f"type=oci,dest={archive}", "--annotation=manifest-descriptor:a=one")
    entry, manifest = documents(archive)
    assert (entry["annotations"]["a"], manifest.get("annotations")) == ("one", None)
    scratch = write_context(tmp_path / "scratch", {"Dockerfile": "FROM scratch\nCOPY f /\n", "f": "f"})
    words = ("--annotation=index-descriptor:a=i", "--annotation=manifest-descriptor[linux/arm64]:a=m")
    program.build(scratch, "--platform=linux/amd64,linux/arm64", *words, "-o", f"type=oci,tar=false,dest={layout}")
    entry, index = documents(layout)
    assert entry["annotations"]["a"] == "i"
    assert [item.get("annotations") for item in index["manifests"]] == [None, {"a": "m"}]
    done = program.build(context, "--annotation=index-descriptor:a=b", check=False)
    assert "index descriptor annotations not supported for single platform export" in done.printed
