"""What the flags of buildah build make of a request."""

from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.cli.flags.buildah import BuildahFlags
from pybuild.builder.errors import RequestError


def flags(**given: Any) -> BuildahFlags:
    return BuildahFlags(**given)


def everything(**given: Any) -> tuple[object, ...]:
    made = flags(**given)
    return made.request({}), made.all_arguments((), {}), made.all_platforms(()), made.compression(), made.epoch({})


def test_nothing_asks_for_nothing() -> None:
    request = {"environment": (), "unset_env": (), "unset_labels": (), "ignore_file": None, "jobs": None}
    assert everything() == (request, (), (), "", None)


def test_arguments_come_from_files_before_those_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "args").write_text("# both\nA=1\n\n  B = 2\r\nC\n")
    found = flags(build_arg_files=(tmp_path / "args",))
    assert found.all_arguments(("A=3",), {}) == ("A=1", "B = 2", "C", "A=3")


def test_proxies_of_the_environment_are_given_on_demand() -> None:
    env = {"HTTP_PROXY": "x", "no_proxy": "y", "HOME": "/"}
    assert flags().all_arguments((), env) == ()
    assert flags(http_proxy=True).all_arguments((), env) == ("HTTP_PROXY", "no_proxy")


def test_parts_of_a_platform_make_one() -> None:
    assert flags(os="linux", arch="arm", variant="v7").all_platforms(()) == ("linux/arm/v7",)
    assert flags(arch="riscv64").all_platforms(()) == ("linux/riscv64",)
    assert flags().all_platforms(("a", "b")) == ("a", "b")
    with pytest.raises(RequestError, match="--platform and --os, --arch or --variant exclude"):
        flags(arch="arm64").all_platforms(("linux/amd64",))


def test_compression_may_be_given_in_parts() -> None:
    assert flags(compression_format="zstd").compression() == "zstd"
    assert flags(compression_format="zstd", compression_level="3").compression() == "zstd,3"
    assert flags(compression_level="3").compression() == "gzip,3"


def test_a_time_is_an_argument_or_only_a_time() -> None:
    argument, time = flags(source_date_epoch="7"), flags(timestamp="7")
    assert (argument.all_arguments((), {}), argument.epoch({})) == (("SOURCE_DATE_EPOCH=7",), None)
    assert (time.all_arguments((), {}), time.epoch({"SOURCE_DATE_EPOCH": "8"})) == ((), 7)
    assert flags().epoch({"SOURCE_DATE_EPOCH": "8"}) == 8


def test_variables_come_from_the_environment_when_they_have_no_value() -> None:
    found = flags(env=("A=1", "B", "NONE"), unsetenv=("C",), unsetlabel=("d",), jobs="3").request({"B": "2"})
    assert (found["environment"], found["unset_env"]) == ((("A", "1"), ("B", "2")), ("C",))
    assert (found["unset_labels"], found["jobs"]) == (("d",), 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"env": ("=x",)}, "invalid --env '=x'"),
        ({"timestamp": "now"}, "invalid --timestamp 'now'"),
        ({"timestamp": "1", "source_date_epoch": "2"}, "--timestamp and --source-date-epoch exclude each other"),
        ({"jobs": "0"}, "invalid --jobs '0'"),
        ({"jobs": "1" * 5000}, "invalid --jobs '111"),
        ({"jobs": "many"}, "invalid --jobs 'many'"),
        ({"build_arg_files": (Path("none"),)}, "--build-arg-file: open none: no such file or directory"),
        ({"source_date_epoch": "now"}, "invalid --source-date-epoch 'now'"),
    ],
)
def test_values_that_mean_nothing_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        everything(**given)
