import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layout import CONTAINERD_NAME, REF_NAME
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.transports.files import pick


def entry(content: bytes, **names: str) -> Descriptor:
    annotations = {{"tag": REF_NAME, "full": CONTAINERD_NAME}[key]: name for key, name in names.items()}
    return Descriptor(
        media_type=media.OCI_MANIFEST, digest=Digest.of(content), size=len(content), annotations=annotations
    )


def test_either_of_the_two_names_will_do() -> None:
    entries = [entry(b"a", tag="1", full="docker.io/library/a:1"), entry(b"b", tag="2")]
    assert pick(entries, "1", "x") == pick(entries, "docker.io/library/a:1", "x") == entry(b"a")
    assert pick(entries, "2", "x") == entry(b"b")


def test_without_a_name_the_only_image_is_meant_however_many_names_it_has() -> None:
    assert pick([entry(b"a", tag="1"), entry(b"a", tag="2"), entry(b"a")], "", "x") == entry(b"a")


@pytest.mark.parametrize(
    ("entries", "name", "problem"),
    [
        ([entry(b"a", tag="1"), entry(b"b", tag="2")], "", "several images"),
        ([entry(b"a", tag="1"), entry(b"b", tag="1")], "1", "several images"),
        ([entry(b"a", tag="1")], "3", "has no image '3'"),
        ([], "", "has no image"),
    ],
)
def test_what_is_not_clear_is_told(entries: list[Descriptor], name: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem) as caught:
        pick(entries, name, "x")
    assert caught.value.hint == (
        f"it has {', '.join(sorted({e.annotations[REF_NAME] for e in entries}))}" if entries else ""
    )
