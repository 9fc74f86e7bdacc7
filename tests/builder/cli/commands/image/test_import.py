import gzip
import json
import lzma
from pathlib import Path

import pytest

from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import tar_of
from tests.helpers.web import Answer, Web


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    path.write_bytes(tar_of(BASE))
    return path


def inspected(shop: Shop, name: str) -> dict[str, object]:
    documents = json.loads(shop.run("inspect", name).out)
    document: dict[str, object] = documents[0]
    return document


def test_a_root_file_system_becomes_an_image_of_one_layer(shop: Shop, archive: Path) -> None:
    result = shop.run("import", "-m", "from a test", str(archive), "base")
    assert result.lines == shop.run("images", "-q", "--no-trunc", "base").lines
    document = inspected(shop, "base")
    assert (document["Comment"], document["Os"]) == ("from a test", "linux")


def test_the_archive_may_come_from_the_web_in_any_compression(shop: Shop, archive: Path) -> None:
    with Web() as web:
        web.files["/root.tar.xz"] = lzma.compress(archive.read_bytes())
        web.answers["/gone"] = Answer(status=404)
        assert shop.run("import", web.url("/root.tar.xz"), "base").code == 0
        missing = shop.run("import", web.url("/gone"), "other")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err.startswith(f"ERROR: failed to load {web.url('/gone')}")
    assert len(shop.run("history", "-q", "base").lines) == 1


@pytest.mark.parametrize("compression", ["gzip", "zstd,3", "uncompressed"])
def test_the_diff_id_is_that_of_the_archive_however_it_is_stored(shop: Shop, archive: Path, compression: str) -> None:
    import hashlib

    packed = archive.with_suffix(".gz")
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    shop.run("import", "--compression", compression, str(packed), "base")
    expected = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    assert inspected(shop, "base")["RootFS"] == {"Type": "layers", "Layers": [expected]}


def test_changes_are_instructions_for_the_config(shop: Shop, archive: Path) -> None:
    changes = ['CMD ["/bin/x"]', "ENV A=1 B=$A", "WORKDIR /srv", "EXPOSE 80", "LABEL l=v", "USER alice", "VOLUME /data"]
    words = [word for change in changes for word in ("-c", change)]
    assert shop.run("import", *words, str(archive), "base").code == 0
    config = inspected(shop, "base")["Config"]
    assert isinstance(config, dict)
    assert config["Cmd"] == ["/bin/x"]
    assert config["Env"] == ["A=1", "B="]
    assert (config["WorkingDir"], config["User"]) == ("/srv", "alice")
    assert (config["ExposedPorts"], config["Labels"]) == ({"80/tcp": {}}, {"l": "v"})


@pytest.mark.parametrize("change", ["RUN true", "COPY a b", "FROM x", "CDM x", "ARG A"])
def test_other_instructions_are_refused(shop: Shop, archive: Path, change: str) -> None:
    result = shop.run("import", "-c", change, str(archive), "base")
    assert result.code == 2
    assert "--change" in result.err


@pytest.mark.parametrize("content", [b"", b"no archive at all", gzip.compress(b"x" * 2000, mtime=0), tar_of({})])
def test_what_holds_no_root_file_system_is_refused(shop: Shop, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert shop.run("import", str(tmp_path / "x"), "base").code in {1, 2}
    assert shop.names() == []


def test_without_a_name_the_image_is_listed_by_its_id(shop: Shop, archive: Path) -> None:
    result = shop.run("import", str(archive))
    assert shop.run("images", "-q", "--no-trunc").lines == result.lines
    assert shop.names() == [""]


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_file_is_a_wrong_argument(shop: Shop, tmp_path: Path, name: str) -> None:
    result = shop.run("import", str(tmp_path / name), "x")
    assert (result.code, result.err.startswith(f"ERROR: open {tmp_path / name}: ")) == (2, True)


def test_an_archive_that_is_broken_is_named(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(1, 256)) * 9)
    refused = shop.run("import", str(tmp_path / "noise"))
    assert refused.code == 1
    assert refused.err.startswith(f"ERROR: failed to load {tmp_path / 'noise'}: this is not a tar archive")
