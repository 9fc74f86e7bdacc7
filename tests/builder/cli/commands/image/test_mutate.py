import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pybuild.builder.oci.image import read_image
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import ARM64, tar_of, tiny_image, tiny_index


def inspected(shop: Shop, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(shop.run("inspect", name).out)[0]
    return document


def manifest(shop: Shop, name: str) -> dict[str, Any]:
    descriptor = shop.store.layout.resolve(f"docker.io/library/{name}:latest")
    assert descriptor is not None
    document: dict[str, Any] = json.loads(shop.store.blobs.read(descriptor))
    return document


def test_the_config_changes_and_the_layers_stay(shop: Shop) -> None:
    source = shop.image("tiny:1")
    flags = [
        "-e",
        "A=1",
        "--label",
        "l=v",
        "--user",
        "bob",
        "--workdir",
        "/srv",
        "--entrypoint",
        '["/x"]',
        "--cmd",
        "y",
    ]
    flags += ["--expose", "80", "--volume", "/data", "--stop-signal", "SIGINT", "-c", 'SHELL ["/bin/zsh"]']
    result = shop.run("mutate", "tiny:1", "-t", "new", "-t", "other:2", *flags)
    assert (result.code, result.err) == (0, "")
    assert result.lines == shop.run("images", "-q", "--no-trunc", "new").lines
    assert shop.names() == [f"docker.io/library/{name}" for name in ("new:latest", "other:2", "tiny:1")]
    document = inspected(shop, "new")
    assert document["RootFS"]["Layers"] == [str(diff_id) for diff_id in source.config.diff_ids]
    config = document["Config"]
    assert config["Env"] == ["PATH=/bin", "A=1"]
    assert (config["Labels"], config["User"], config["WorkingDir"]) == ({"l": "v"}, "bob", "/srv")
    assert (config["Entrypoint"], config["Cmd"]) == (["/x"], ["/bin/sh", "-c", "y"])
    assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}}, {"/data": {}})
    assert (config["StopSignal"], config["Shell"]) == ("SIGINT", ["/bin/zsh"])
    assert document["Created"] == source.config.created
    assert inspected(shop, "tiny:1")["Id"] == str(source.id)


def test_what_is_removed_is_gone_and_twice_gives_the_same_image(shop: Shop) -> None:
    shop.image("tiny:1")
    first = shop.run("mutate", "tiny:1", "-t", "new", "--env", "-", "--cmd", "")
    assert (inspected(shop, "new")["Config"]["Env"], inspected(shop, "new")["Config"]["Cmd"]) == (None, None)
    assert shop.run("mutate", "tiny:1", "--env", "PATH-", "--cmd", "").out == first.out


def test_without_a_change_the_image_is_the_same(shop: Shop) -> None:
    source = shop.image("tiny:1")
    assert shop.run("mutate", "tiny:1", "-t", "same").lines == [str(source.id)]


def test_annotations_are_those_of_the_manifest(shop: Shop) -> None:
    shop.image("tiny:1")
    shop.run("mutate", "tiny:1", "-t", "one", "--annotation", "a=1", "--annotation", "b=2")
    shop.run("mutate", "one", "-t", "two", "--annotation", "a-")
    assert manifest(shop, "one")["annotations"] == {"a": "1", "b": "2"}
    assert manifest(shop, "two")["annotations"] == {"b": "2"}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("kept_as", ["gzip", "zstd", "uncompressed"])
def test_a_layer_is_appended_with_the_diff_id_of_its_archive(
    shop: Shop, tmp_path: Path, pack: Any, kept_as: str
) -> None:
    shop.image("tiny:1")
    archive = tar_of({"etc/new": b"new", "etc/.wh.motd": b""})
    (tmp_path / "layer.tar").write_bytes(pack(archive))
    appended = str(tmp_path / "layer.tar")
    result = shop.run("mutate", "tiny:1", "-t", "new", "--compression", kept_as, "--append", appended)
    assert (result.code, result.err) == (0, "")
    expected = "sha256:" + hashlib.sha256(archive).hexdigest()
    assert inspected(shop, "new")["RootFS"]["Layers"][1:] == [expected]
    history = shop.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", "new").lines
    assert history == ["pybuild mutate --append layer.tar", "COPY layer 0 # test"]


def test_a_layer_has_the_time_of_source_date_epoch(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    shop.image("tiny:1")
    (tmp_path / "layer.tar").write_bytes(tar_of({"x": b""}))
    shop.run("mutate", "tiny:1", "-t", "new", "--append", str(tmp_path / "layer.tar"))
    assert inspected(shop, "new")["Created"] == "1970-01-02T00:00:00Z"


NO_LAYERS = [tar_of({}), tar_of({".wh.x/y": b""}), tar_of({"a/.wh..": b""}), tar_of({"a": b"1"})[:600]]


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"x" * 2000, mtime=0), *NO_LAYERS])
def test_what_is_no_layer_is_refused(shop: Shop, tmp_path: Path, content: bytes) -> None:
    shop.image("tiny:1")
    (tmp_path / "x").write_bytes(content)
    assert shop.run("mutate", "tiny:1", "-t", "new", "--append", str(tmp_path / "x")).code in {1, 2}
    assert shop.names() == ["docker.io/library/tiny:1"]


def test_one_image_of_several_platforms_is_chosen(shop: Shop) -> None:
    blobs = shop.store.blobs
    images = tiny_image(blobs, BASE), tiny_image(blobs, {"arm": b""}, platform=ARM64)
    shop.store.layout.tag("docker.io/library/both:latest", tiny_index(blobs, *images))
    shop.run("mutate", "both", "-t", "new", "--platform", "arm64", "--env", "A=1")
    descriptor = shop.store.layout.resolve("docker.io/library/new:latest")
    assert descriptor is not None
    made = read_image(blobs, descriptor, ARM64)
    assert (made.config.architecture, made.config.diff_ids) == ("arm64", images[1].config.diff_ids)
    assert descriptor.platform == ARM64


def test_the_platform_of_an_image_is_set(shop: Shop) -> None:
    shop.image("tiny:1")
    shop.run("mutate", "tiny:1", "-t", "new", "--set-platform", "linux/arm/v6")
    document = inspected(shop, "new")
    assert (document["Os"], document["Architecture"], document["Variant"]) == ("linux", "arm", "v6")


def test_triggers_can_be_added(shop: Shop) -> None:
    shop.image("tiny:1")
    assert shop.run("mutate", "tiny:1", "-t", "new", "-c", "ONBUILD RUN x").code == 0
    assert shop.run("inspect", "-f", "{{.Config.OnBuild}}", "new").out == "[RUN x]\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nope"], 1),
        (["tiny:1", "-c", "ONBUILD ONBUILD RUN x"], 2),
        (["tiny:1", "-c", "USER a\nUSER b"], 2),
        (["tiny:1", "--env", "A"], 2),
        (["tiny:1", "--user", "a\nb"], 1),
        (["tiny:1", "--cmd", "[1]"], 2),
        (["tiny:1", "-c", "RUN x"], 2),
        (["tiny:1", "--append", "not/there"], 2),
        (["tiny:1", "--set-platform", "?"], 2),
        (["tiny:1", "-t", "UPPER"], 2),
    ],
)
def test_what_cannot_be_is_refused(shop: Shop, words: list[str], code: int) -> None:
    shop.image("tiny:1")
    result = shop.run("mutate", "-t", "new", *words)
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert shop.names() == ["docker.io/library/tiny:1"]


def test_help_tells_how_values_are_removed(shop: Shop) -> None:
    text = shop.run("mutate", "--help").out
    assert "NAME- removes it" in text
    assert "(default: this host's)" in text
