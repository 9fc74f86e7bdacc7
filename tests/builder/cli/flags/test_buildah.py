"""What the flags of buildah build make of a request."""

from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.cli.flags.buildah import as_docker_has_it, buildah_values
from pybuild.builder.errors import RequestError

NOTHING: dict[str, Any] = {
    **dict.fromkeys(("ignore_file", "timestamp", "source_date_epoch", "jobs")),
    **dict.fromkeys(("os", "arch", "variant", "compression", "compression_format", "compression_level")),
    **dict.fromkeys(("build_arg_files", "build_args", "env", "unsetenv", "unsetlabel", "platforms"), ()),
    **dict.fromkeys(("squash", "http_proxy"), False),
    "layers": True,
}


def docker(variables: dict[str, str] | None = None, /, **flags: Any) -> dict[str, Any]:
    return as_docker_has_it(NOTHING | flags, variables or {})


def values(variables: dict[str, str] | None = None, /, **flags: Any) -> dict[str, Any]:
    return buildah_values(NOTHING | flags, variables or {})


def test_arguments_come_from_files_before_those_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "args").write_text("# both\nA=1\n\n  B = 2\r\nC\n")
    found = docker(build_arg_files=(tmp_path / "args",), build_args=("A=3",))
    assert found["build_args"] == ("A=1", "B = 2", "C", "A=3")


def test_proxies_of_the_environment_are_given_on_demand() -> None:
    env = {"HTTP_PROXY": "x", "no_proxy": "y", "HOME": "/"}
    assert docker(env)["build_args"] == ()
    assert docker(env, http_proxy=True)["build_args"] == ("HTTP_PROXY", "no_proxy")


def test_parts_of_a_platform_make_one() -> None:
    assert docker(os="linux", arch="arm", variant="v7")["platforms"] == ("linux/arm/v7",)
    assert docker(arch="riscv64")["platforms"] == ("linux/riscv64",)


def test_compression_may_be_given_in_parts() -> None:
    assert docker()["compression"] == ""
    assert docker(compression_format="zstd")["compression"] == "zstd"
    assert docker(compression_format="zstd", compression_level="3")["compression"] == "zstd,3"
    assert docker(compression_level="3")["compression"] == "gzip,3"


def test_a_build_without_layers_is_squashed() -> None:
    assert not docker()["squash"]
    assert docker(layers=False)["squash"]


def test_a_time_is_an_argument_or_only_a_time() -> None:
    assert docker(source_date_epoch="7")["build_args"] == ("SOURCE_DATE_EPOCH=7",)
    assert docker(timestamp="7")["build_args"] == ()
    assert values(timestamp="7")["source_date_epoch"] == 7
    assert "source_date_epoch" not in values(source_date_epoch="7")


def test_variables_come_from_the_environment_when_they_have_no_value() -> None:
    found = values({"B": "2"}, env=("A=1", "B", "NONE"), unsetenv=("C",), unsetlabel=("d",), jobs="3")
    assert found == {
        "environment": (("A", "1"), ("B", "2")),
        "unset_env": ("C",),
        "unset_labels": ("d",),
        "ignore_file": None,
        "jobs": 3,
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"env": ("=x",)}, "invalid --env '=x'"),
        ({"timestamp": "now"}, "invalid --timestamp 'now'"),
        ({"timestamp": "1", "source_date_epoch": "2"}, "--timestamp and --source-date-epoch exclude each other"),
        ({"jobs": "0"}, "invalid --jobs '0'"),
        ({"jobs": "many"}, "invalid --jobs 'many'"),
    ],
)
def test_values_that_mean_nothing_are_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        values(**flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"build_arg_files": (Path("none"),)}, "--build-arg-file: open none: no such file or directory"),
        ({"source_date_epoch": "now"}, "invalid --source-date-epoch 'now'"),
        ({"arch": "arm64", "platforms": ("linux/amd64",)}, "--platform and --os, --arch or --variant exclude"),
    ],
)
def test_what_docker_has_otherwise_is_checked_too(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        docker(**flags)
