from pathlib import Path

import pytest

from pybuild.builder.cli.flags import build_values as build_flags
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.image import host_platform
from pybuild.builder.request import Compression


def test_a_build_argument_without_a_value_takes_it_from_the_environment() -> None:
    env = {"SET": "s", "OTHER": "o"}
    assert build_flags.build_arguments(["A=1=2", "SET", "UNSET", "EMPTY="], env) == (
        ("A", "1=2"),
        ("SET", "s"),
        ("EMPTY", ""),
    )


def test_source_date_epoch_is_handed_on_unless_given() -> None:
    env = {"SOURCE_DATE_EPOCH": "5"}
    assert build_flags.build_arguments([], env) == (("SOURCE_DATE_EPOCH", "5"),)
    assert dict(build_flags.build_arguments(["SOURCE_DATE_EPOCH=7"], env)) == {"SOURCE_DATE_EPOCH": "7"}
    assert build_flags.source_date_epoch({"SOURCE_DATE_EPOCH": "7"}) == 7
    assert build_flags.source_date_epoch({"SOURCE_DATE_EPOCH": ""}) is None


def test_a_label_alone_is_empty_and_the_last_of_a_name_wins() -> None:
    assert build_flags.labels(["a", "b=1=2", "b=3"]) == (("a", ""), ("b", "3"))


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        ("h:10.0.0.1", ("h", "10.0.0.1")),
        ("h=10.0.0.1", ("h", "10.0.0.1")),
        ("h:::1", ("h", "::1")),
        ("h:[::1]", ("h", "::1")),
        ("h=[2001:db8::1]", ("h", "2001:db8::1")),
        ("h:host-gateway", ("h", "127.0.0.1")),
    ],
)
def test_hosts_are_written_as_in_docker(given: str, pair: tuple[str, str]) -> None:
    assert build_flags.hosts([given]) == (pair,)


@pytest.mark.parametrize("given", ["h", "h:", ":1.2.3.4", "h:1.2.3", "h i:1.2.3.4", "h:1.2.3.4\n5.6.7.8 evil"])
def test_a_host_without_an_address_is_refused(given: str) -> None:
    with pytest.raises(RequestError, match="add-host"):
        build_flags.hosts([given])


def test_compression_has_a_type_and_a_level() -> None:
    assert build_flags.parse_compression("zstd,19") == Compression(algorithm="zstd", level=19)
    assert build_flags.parse_compression("gzip") == Compression(algorithm="gzip")


@pytest.mark.parametrize(
    "given",
    ["lzma", "gzip,10", "zstd,0", "gzip,", "uncompressed,1", "zstd,x", f"gzip,{'1' * 5000}"],
    ids=lambda text: text[:9],
)
def test_an_unknown_compression_is_refused(given: str) -> None:
    with pytest.raises(RequestError, match="compression"):
        build_flags.parse_compression(given)


def test_platforms_come_from_the_flags_or_the_environment_in_normal_form() -> None:
    env = {"DOCKER_DEFAULT_PLATFORM": "linux/aarch64"}
    assert build_flags.platforms([], env) == ("linux/arm64",)
    assert build_flags.platforms(["linux/amd64"], env) == ("linux/amd64",)
    assert build_flags.platforms([], {}) == ()
    given = ["linux/amd64,linux/arm64/v8", "arm64"]
    assert build_flags.platforms(given, {}) == ("linux/amd64", "linux/arm64")
    with pytest.raises(RequestError, match="failed to parse platform"):
        build_flags.platforms(["linux/amd64,"], {})


def test_a_build_context_is_a_directory_or_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "github.com" / "team").mkdir(parents=True)
    assert build_flags.context("github.com/team") == Path("github.com/team")
    assert build_flags.context("github.com/team/x.git") == "github.com/team/x.git"
    assert build_flags.context("https://h.invalid/x.git#main") == "https://h.invalid/x.git#main"
    assert build_flags.context("nowhere") == Path("nowhere")
    with pytest.raises(RequestError, match="invalid build context: an address must not contain"):
        build_flags.context("https://me:word@h.invalid/x.git")


def test_named_contexts_have_one_spelling_and_absolute_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    given = ["One=folder", "docker.io/library/two=docker-image://x", "web=https://h.invalid/a=b.tgz", "one=."]
    assert build_flags.contexts(given) == (
        ("one", str(tmp_path)),
        ("two", "docker-image://x"),
        ("web", "https://h.invalid/a=b.tgz"),
    )


def test_one_platform_is_an_image_and_several_are_an_index() -> None:
    assert build_flags.platform_fields((), {}) == {"platform": None}
    assert build_flags.platform_fields(("linux/arm64",), {}) == {"platform": "linux/arm64"}
    assert build_flags.platform_fields(("linux/386", "linux/arm64"), {}) == {"platforms": ("linux/386", "linux/arm64")}


def test_a_build_argument_asks_for_an_index_of_one_platform() -> None:
    given = {"BUILDKIT_MULTI_PLATFORM": "True"}
    assert build_flags.platform_fields(("linux/arm64",), given) == {"platforms": ("linux/arm64",)}
    assert build_flags.platform_fields((), given) == {"platforms": (str(host_platform()),)}
    assert build_flags.platform_fields((), {"BUILDKIT_MULTI_PLATFORM": "0"}) == {"platform": None}
    with pytest.raises(RequestError, match="returning multiple target platforms is not allowed"):
        build_flags.platform_fields(("linux/386", "linux/arm64"), {"BUILDKIT_MULTI_PLATFORM": "0"})
    with pytest.raises(RequestError, match="invalid boolean value for BUILDKIT_MULTI_PLATFORM: many"):
        build_flags.platform_fields((), {"BUILDKIT_MULTI_PLATFORM": "many"})


def test_lines_of_a_file_keep_spaces_at_their_ends(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes("\ufeff# comment\n\n  A= x \r\nB=a\x0cb\u2028\n".encode())
    assert build_flags.lines_of("--env-file", tmp_path / "env") == ["A= x ", "B=a\x0cb\u2028"]


def test_a_file_without_lines_of_text_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "env"
    with pytest.raises(RequestError, match=f"^--env-file: open {path}: no such file or directory$"):
        build_flags.lines_of("--env-file", path)
    path.write_bytes(b"A=1\nB=\xff\n")
    with pytest.raises(RequestError, match=f"^--env-file: {path}: line 2 is not UTF-8$"):
        build_flags.lines_of("--env-file", path)
