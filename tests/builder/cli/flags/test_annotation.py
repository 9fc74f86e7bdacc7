"""What --annotation may be given."""

import pytest

from pybuild.builder.cli.flags.annotation import annotations
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Annotation


def test_without_a_kind_the_manifest_is_annotated() -> None:
    assert annotations(["a.b=c=d", "e="]) == (
        Annotation(kind="manifest", key="a.b", value="c=d"),
        Annotation(kind="manifest", key="e", value=""),
    )


def test_several_kinds_and_platforms_may_be_named() -> None:
    assert annotations(["index,manifest[linux/arm64]:a=b:c"]) == (
        Annotation(kind="index", key="a", value="b:c"),
        Annotation(kind="manifest", platform="linux/arm64", key="a", value="b:c"),
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("a", "expected"),
        ("=b", "expected"),
        ("index:=b", "expected"),
        ("manifset:a=b", "unknown annotation type 'manifset'"),
        ("index-descriptor[linux/amd64]:a=b", "an index has no platform"),
        ("index[linux/amd64]:a=b", "an index has no platform"),
    ],
)
def test_what_is_no_annotation_is_refused(given: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        annotations([given])
