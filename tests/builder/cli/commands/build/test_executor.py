"""Flags of Kaniko as those of ``build``."""

import json
import os
from pathlib import Path

import pytest

from pybuild.builder.cli import main as cli
from pybuild.builder.cli.commands.build import executor

_DIGEST = f"sha256:{'5' * 64}"


class _Build:
    """Takes the words of a build, and writes its metadata."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.registries = ""
        self.read = b""

    def __call__(self, words: list[str], **_: object) -> int:
        at = words.index("--metadata-file")
        Path(words[at + 1]).write_text(json.dumps({"containerimage.digest": _DIGEST}))
        self.words = words[:at] + words[at + 2 :]
        if (path := os.environ.get("CONTAINERS_REGISTRIES_CONF")) is not None:
            self.registries = Path(path).read_text()
        if self.words[-1] == "-":
            self.read = os.read(0, 100)
        return 0


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> _Build:
    made = _Build()
    monkeypatch.setattr(executor.build, "main", made)
    # Set first, so that it is put back whatever a test does.
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", "")
    monkeypatch.delenv("CONTAINERS_REGISTRIES_CONF")
    return made


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--no-push"], ["."]),
        (["-d", "a/b:c", "-c", "dir:///w"], ["--tag", "a/b:c", "--push", "/w"]),
        (["-d", "a/b", "--no-push", "--tar-path=t.tar"], ["--tag", "a/b", "--output=type=docker,dest=t.tar", "."]),
        (["--no-push", "--oci-layout-path", "l"], ["--output=type=oci,tar=false,dest=l", "."]),
        (["--no-push", "--context-sub-path=s", "--context=/w", "--dockerfile=no/D"], ["--file", "/w/s/no/D", "/w/s"]),
        (
            ["--no-push", "--build-arg=a=b", "--label", "c=d", "--target", "t", "--custom-platform=linux/arm64"],
            ["--build-arg", "a=b", "--label", "c=d", "--target", "t", "--platform", "linux/arm64", "."],
        ),
        (["--no-push", "--single-snapshot", "--reproducible"], ["--squash", "--timestamp=0", "."]),
        (["--no-push", "--compression=zstd", "--compression-level=3"], ["--compression=zstd,3", "."]),
        (
            ["--no-push", "--skip-tls-verify=true", "--force", "--snapshot-mode=redo", "-v=debug"],
            ["--no-tls-verify", "."],
        ),
        (
            ["-d", "r.io/a/b:c", "--cache=true", "--no-push"],
            [
                *("--tag", "r.io/a/b:c", "--cache-from=type=registry,ref=r.io/a/b/cache"),
                *("--cache-to=type=registry,ref=r.io/a/b/cache,mode=max", "."),
            ],
        ),
        (
            ["--no-push", "--cache", "--cache-repo=r.io/x", "--no-push-cache", "--cache-ttl=6h"],
            ["--cache-ttl", "6h", "--cache-from=type=registry,ref=r.io/x", "."],
        ),
        (
            ["--no-push", "--tarPath=t", "--customPlatform", "linux/arm64", "--skip-tls-verify-pull"],
            ["--output=type=docker,dest=t", "--platform", "linux/arm64", "--no-tls-verify", "."],
        ),
        (["--no-push", "-c", "git://h.io/a/b.git#refs/heads/m#abc"], ["https://h.io/a/b.git#abc"]),
        (
            ["--no-push", "-c", "git://h.io/a/b", "--git=branch=dev,single-branch=true", "--context-sub-path=d"],
            ["https://h.io/a/b.git#dev:d"],
        ),
        (["--no-push", "-c", "https://h.io/c.tar.gz", "-f", "D"], ["--file", "D", "https://h.io/c.tar.gz"]),
    ],
)
def test_each_flag_becomes_one_of_build(build: _Build, words: list[str], expected: list[str]) -> None:
    assert cli.run(["executor", *words]) == 0
    assert build.words == expected


def test_an_archive_is_read_as_the_input(build: _Build, tmp_path: Path) -> None:
    (tmp_path / "c.tar").write_bytes(b"of the archive")
    before = os.dup(0)
    try:
        assert cli.run(["executor", "--no-push", "-c", f"tar://{tmp_path}/c.tar", "-f", "D"]) == 0
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert (build.words, build.read) == (["--file", "D", "-"], b"of the archive")


def test_digests_are_written_for_each_destination(build: _Build, tmp_path: Path) -> None:
    files = [f"--digest-file={tmp_path}/d", f"--image-name-with-digest-file={tmp_path}/n"]
    assert cli.run(["executor", "-d", "r.io:5000/a:1", "-d", "b", *files]) == 0
    assert build.words[-2:] == ["--push", "."]
    assert (tmp_path / "d").read_text() == _DIGEST
    assert (tmp_path / "n").read_text() == f"r.io:5000/a@{_DIGEST}\ndocker.io/library/b@{_DIGEST}\n"


def test_mirrors_and_registries_without_https_are_configured(build: _Build) -> None:
    assert cli.run(["executor", "--no-push", "--registry-mirror=m.io", "--insecure-registry=r.io:5000"]) == 0
    assert build.registries == (
        '[[registry]]\nlocation = "r.io:5000"\ninsecure = true\n'
        '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "m.io"\n'
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "you must provide --destination, or use --no-push"),
        (["--no-push", "--cache"], "--cache needs --cache-repo"),
        (["--no-push", "-c", "s3://bucket/x"], "contexts at s3:// are not supported"),
        (["--no-push", "-c", "tar:///missing.tar"], "the context /missing.tar cannot be read: no such file"),
        (["--no-push", "-c", "tar://stdin", "--context-sub-path=a"], "goes with a directory or git"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(
    build: _Build, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    assert cli.run(["executor", *words]) == 2
    assert text in capsys.readouterr().err
    assert build.words == []
