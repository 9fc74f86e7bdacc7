"""Flags of Kaniko as those of ``build``."""

import json
import os
from pathlib import Path

import pytest

from pybuild.builder.cli import main as cli
from pybuild.builder.cli.commands.build import executor, executor_hosts
from pybuild.builder.errors import PushFailed
from tests.helpers.contexts import write_context

_DIGEST = f"sha256:{'5' * 64}"


class _Build:
    """Takes the words of a build, and writes its metadata."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.registries = ""
        self.own = ""
        self.variables: dict[str, str] = {}
        self.read = b""

    def __call__(self, words: list[str], **_: object) -> int:
        at = words.index("--metadata-file")
        Path(words[at + 1]).write_text(json.dumps({"containerimage.digest": _DIGEST}))
        self.words = words[:at] + words[at + 2 :]
        if (path := os.environ.get("CONTAINERS_REGISTRIES_CONF")) is not None:
            self.registries = Path(path).read_text()
        if (path := os.environ.get("PYBUILD_CONFIG")) is not None:
            self.own = Path(path).read_text()
        self.variables = dict(os.environ)
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
        (["--no-push", "-c", "/w", "--dockerfile=/no/D"], ["--file", "/w/no/D", "/w"]),
        (["--no-push", "-c", "/w", "--dockerfile=https://h.io/D"], ["--file", "https://h.io/D", "/w"]),
        (
            ["--no-push", "--annotation=a=b", "--secret=id=c", "--log-timestamp", "--preserve-context"],
            ["--annotation", "a=b", "--secret", "id=c", "."],
        ),
        (
            ["--no-push", "--cache", "--cache-repo=oci:/l"],
            ["--cache-from=type=local,src=/l", "--cache-to=type=local,dest=/l,mode=max", "."],
        ),
        (["--no-push", "--registry-map=", "--registry-mirror", "", "--target=", "--credential-helpers="], ["."]),
    ],
)
def test_each_flag_becomes_one_of_build(build: _Build, words: list[str], expected: list[str]) -> None:
    assert cli.run(["executor", *words]) == 0
    assert build.words == expected


_CI = """
--context $DIR --dockerfile $DIR/ci/Dockerfile --no-push --cache-dir .docker-cache
--cache --cache-copy-layers --cache-ttl 48h --cleanup --push-retry 1 --use-new-run --context $DIR -d h.io/a:1 -d h.io/a:2
--context $DIR/backend --destination a/todo-backend
--dockerfile ./Dockerfile -c $DIR --insecure --skip-tls-verify --cache=true --destination=index.docker.io/a/b:1
--context $DIR --dockerfile $DIR/Dockerfile --destination a/b --oci-layout-path $DIR/oci
--dockerfile /Dockerfile --context=$DIR --destination=a/b:build-1-now
--dockerfile ./Dockerfile --context . --verbosity debug --no-push --destination a/b:1 --tarPath image.tar
--context=dir://$DIR --destination=a/b:1 --target=final --snapshotMode=time --insecure --skip-tls-verify
--context $DIR --label include=init --snapshotMode=full --destination a/b:1 --cache=true --cache-run-layers --cache-repo a/cache
--skip-tls-verify=true --dockerfile=Dockerfile --context=$DIR --destination=h.io/a --snapshotMode=redo --push-retry=3
--context=$DIR --cache --cache-repo=h.io/a-cache --skip-unused-stages --snapshotMode=redo --use-new-run --destination=h.io/a:1
-f=Containerfile -c=. --use-new-run --snapshotMode=redo --build-arg BUILD_DATE=now --build-arg VCS_REF=1 --no-push
--build-arg user=\\$USER --cache=true --cache-dir=/cache --cache-repo=a/c --single-snapshot=true -d=a/b -d=c/d --no-push=false
--dockerfile=./Dockerfile --context=$DIR/./ --destination=h.io/a --digest-file=$DIR/digest
--registry-mirror= --build-arg= --context . --destination h.io/a
--context=git://h.io/a/b.git#refs/heads/main --destination=docker.io/a/b:latest --cache=true --cache-repo=docker.io/a/b-cache
--context $DIR --destination h.io/a:1 --force --ignore-path=/product_uuid --log-format=text --log-timestamp=false
--context=$DIR --destination=h.io:5000/a --insecure-registry=h.io:5000 --skip-tls-verify-registry h.io:5000 --image-name-with-digest-file=$DIR/n
--context $DIR --destination a/b --registry-mirror mirror.h.io --skip-push-permission-check --ignore-var-run=false
--context $DIR --customPlatform=linux/arm64 --destination a/b --reproducible --compressed-caching=false --image-download-retry=3
"""


@pytest.mark.parametrize("line", _CI.strip().splitlines())
def test_command_lines_of_ci_systems_are_taken(
    build: _Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    """The flags of each line stood together in a public workflow; hosts and names are others."""
    write_context(tmp_path, {"Dockerfile": "FROM scratch\n", "ci/Dockerfile": "FROM scratch\n"})
    monkeypatch.chdir(tmp_path)
    words = line.replace("$DIR", str(tmp_path)).split()
    assert cli.run(["executor", *words]) == 0
    assert ("--push" in build.words) is ("--no-push" not in words)
    if "git://" not in line:
        assert Path(build.words[-1]).resolve() in {tmp_path, tmp_path / "backend"}
    if "--file" in build.words:
        named = Path(build.words[build.words.index("--file") + 1])
        assert named.exists() or named.name == "Containerfile"


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
    files = [
        f"--digest-file={tmp_path}/d",
        f"--image-name-with-digest-file={tmp_path}/n",
        f"--image-name-tag-with-digest-file={tmp_path}/t",
    ]
    assert cli.run(["executor", "-d", "r.io:5000/a:1", "-d", "b", *files]) == 0
    assert build.words[-2:] == ["--push", "."]
    assert (tmp_path / "d").read_text() == _DIGEST
    assert (tmp_path / "n").read_text() == f"r.io:5000/a@{_DIGEST}\ndocker.io/library/b@{_DIGEST}\n"
    assert (tmp_path / "t").read_text() == f"r.io:5000/a:1@{_DIGEST}\ndocker.io/library/b:latest@{_DIGEST}\n"


def test_mirrors_and_registries_without_https_are_configured(build: _Build) -> None:
    assert cli.run(["executor", "--no-push", "--registry-mirror=m.io", "--insecure-registry=r.io:5000"]) == 0
    assert build.registries == (
        '[[registry]]\nprefix = "r.io:5000"\nlocation = "r.io:5000"\ninsecure = true\n'
        '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "m.io"\n'
    )


def test_registries_are_mapped_to_mirrors_and_have_certificates(build: _Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANIKO_REGISTRY_MAP", "gcr.io=http://g.corp/x")
    maps = ["--registry-map=index.docker.io=a.corp;quay.io=q.corp/", "--registry-map=docker.io=b.corp"]
    certificates = ["--registry-certificate=a.corp=/a.crt", "--registry-client-cert=a.corp=/c.crt,/c.key"]
    assert cli.run(["executor", "--no-push", "--skip-default-registry-fallback", *maps, *certificates]) == 0
    assert build.registries == (
        '[[registry]]\nprefix = "docker.io"\nlocation = "b.corp"\n[[registry.mirror]]\nlocation = "a.corp"\n'
        '[[registry]]\nprefix = "quay.io"\nlocation = "q.corp"\n'
        '[[registry]]\nprefix = "gcr.io"\nlocation = "g.corp/x"\ninsecure = true\n'
    )
    assert build.own == (
        '[registry."a.corp"]\nca = ["/a.crt"]\n[[registry."a.corp".keypair]]\ncert = "/c.crt"\nkey = "/c.key"\n'
    )
    assert "CONTAINERS_REGISTRIES_CONF" not in os.environ


def test_files_of_kanikos_image_are_found(build: _Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(executor_hosts, "_KANIKO", tmp_path)
    monkeypatch.setattr(executor, "_WORKSPACE", tmp_path / ".docker")
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    write_context(tmp_path, {".docker/config.json": "{}", "ssl/certs/additional-ca-cert-bundle.crt": ""})
    monkeypatch.setenv("KANIKO_NO_PUSH", "true")
    assert cli.run(["executor", "-d", "a/b"]) == 0
    assert build.words == ["--tag", "a/b", str(tmp_path / ".docker")]
    assert build.variables["DOCKER_CONFIG"] == str(tmp_path / ".docker")
    assert build.variables["REQUESTS_CA_BUNDLE"] == str(tmp_path / "ssl/certs/additional-ca-cert-bundle.crt")
    monkeypatch.setenv("DOCKER_CONFIG", "/of/the/user")
    assert cli.run(["executor", "-d", "a/b"]) == 0
    assert build.variables["DOCKER_CONFIG"] == "/of/the/user"
    monkeypatch.setenv("KANIKO_NO_PUSH", "perhaps")
    assert cli.run(["executor", "-d", "a/b"]) == 2


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("tag invalid: The image tag '1' already exists and cannot be overwritten because the tag is immutable.", 0),
        ("unauthorized", 5),
    ],
)
def test_a_tag_that_must_not_change_is_no_failure(
    build: _Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, code: int
) -> None:
    def refused(words: list[str], **_: object) -> None:
        assert words == ["--quiet", "--no-tls-verify", "docker.io/a/b:latest"]
        raise PushFailed(told)

    monkeypatch.setattr(executor.push, "main", refused)
    assert cli.run(["executor", "-d", "a/b", "--insecure", "--push-ignore-immutable-tag-errors"]) == code
    assert build.words == ["--tag", "a/b", "--no-tls-verify", "."]
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "you must provide --destination, or use --no-push"),
        (["--no-push", "--cache"], "--cache needs --cache-repo"),
        (["--no-push", "-b", "bucket"], "contexts in buckets are not supported"),
        (["--no-push", "--materialize"], "--materialize is not supported"),
        (["--no-push", "--registry-map=a"], "invalid --registry-map 'a'"),
        (["--no-push", "--registry-certificate=a"], "invalid --registry-certificate 'a'"),
        (["--no-push", "--registry-client-cert=a=b"], "invalid --registry-client-cert 'a=b'"),
        (["--no-push", "--image-name-with-digest-file=f"], "a file of names with digests needs --destination"),
        (["-d", "a/b", "--registry-mirror=m.io", "--skip-default-registry-fallback"], "would be pushed to a mirror"),
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
