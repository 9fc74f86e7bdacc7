"""The values inside the parts of a request are checked as well."""

from pathlib import Path, PurePosixPath

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request import (
    Annotation,
    Compression,
    Execution,
    Planning,
    Resources,
    Result,
    Secret,
    Stored,
    Target,
    Volume,
)
from pybuild.builder.request.values import seconds_of


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Compression(algorithm="lzma"), "unsupported compression 'lzma'"),
        (lambda: Compression(algorithm="gzip", level=10), "invalid compression level '10' for gzip"),
        (lambda: Compression(algorithm="uncompressed", level=0), "invalid compression level '0'"),
        (lambda: Annotation(kind="image", key="k", value="v"), "unknown annotation type 'image'"),
        (lambda: Target(stage="a", tags=("A",)), 'invalid tag "A"'),
        (lambda: Secret(id=""), "id is required"),
        (
            lambda: Secret(id="a", file=Path("f"), variable="V"),
            "invalid --secret 'a': it has both a file and a variable",
        ),
        (lambda: Secret(id="a"), "invalid --secret 'a': it has neither a file nor a variable"),
        (lambda: Target(stage=""), "invalid target ''"),
        (lambda: Result(targets=(Target(stage="a"), Target(stage="a", tags=("b",)))), "duplicate target"),
        (lambda: Planning(labels=(("a=b", "c"),)), "invalid --label 'a=b': a name cannot have an equals sign"),
        (lambda: Resources(memory=True), "invalid memory: expected int or None, not bool"),
        (lambda: Execution(timeout=True), "invalid timeout: expected float or None, not bool"),
        (lambda: Resources(ulimits=(("nofile", False, 1),)), "invalid ulimits"),
        (lambda: Resources(memory="1g"), "invalid memory: expected int or None, not str"),
        (lambda: Annotation(kind="manifest", key="", value="v"), "invalid annotation '=v', expected [KIND:]KEY=VALUE"),
        (lambda: Annotation(kind="index", platform="linux/arm64", key="k", value="v"), "an index has no platform"),
        (lambda: Stored(epoch=253402300800), "invalid source-date-epoch '253402300800'"),
        (lambda: Volume(host_path=Path("/x"), target=PurePosixPath("x")), "expected an absolute path other than /"),
        (lambda: Volume(host_path=Path("/x"), target=PurePosixPath("/")), "expected an absolute path other than /"),
    ],
)
def test_the_small_values_are_checked(make, message):
    with pytest.raises(RequestError) as caught:
        make()
    assert message in str(caught.value)


def test_seconds_are_a_number() -> None:
    assert seconds_of("1700000000") == 1700000000


@pytest.mark.parametrize("text", ["", "-1", "1.5", "context", "9" * 20, "253402300800", "٣"])
def test_what_is_no_number_may_be_a_name(text: str) -> None:
    assert seconds_of(text) is None
