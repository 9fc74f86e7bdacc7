from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.outputs.export import check_forms, epoch_of, names_of
from pybuild.builder.outputs.local import LocalOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.request import Annotation, Compression, Request, Shape, Stored

DIGEST = Digest.of(b"")
DOCKER = Shape(docker=True)


def test_a_canonical_name_has_the_digest_in_place_of_the_tag() -> None:
    names = ("docker.io/library/a:1", "host:5000/b/c:2")
    assert names_of(names, Stored(), DIGEST) == names
    more = (f"docker.io/library/a@{DIGEST}", f"host:5000/b/c@{DIGEST}")
    assert names_of(names, Stored(canonical=True), DIGEST) == (*names, *more)


def test_the_prefix_is_for_images_without_a_name() -> None:
    stored = Stored(dangling="host:5000/loose:latest")
    assert names_of((), stored, DIGEST) == (f"host:5000/loose@{DIGEST}",)
    assert names_of(("docker.io/library/a:1",), stored, DIGEST) == ("docker.io/library/a:1",)
    assert names_of((), Stored(), DIGEST) == ()


@pytest.mark.parametrize(
    "request_",
    [
        Request.of(context=Path(), compression=Compression(algorithm="zstd"), stored=Stored(shape=DOCKER)),
        Request.of(
            context=Path(),
            outputs=(OciOutput(shape=Shape(docker=True, compression=Compression(algorithm="zstd"))),),
        ),
        Request.of(
            context=Path(), annotations=(Annotation(kind="manifest", key="a", value="b"),), stored=Stored(shape=DOCKER)
        ),
    ],
)
def test_dockers_types_hold_neither_zstd_nor_annotations(request_: Request) -> None:
    with pytest.raises(RequestError, match="OCI media types"):
        checked(request_)
    checked(Request.of(context=Path(), stored=Stored(shape=DOCKER)))


def checked(request: Request) -> None:
    check_forms(request.result, request.caches.cache_to, request.files.context, request.execution.compression)


def test_the_time_of_an_output_counts_for_more_than_the_argument() -> None:
    assert [epoch_of(Stored(), epoch) for epoch in (5, None)] == [5, None]
    assert [epoch_of(Stored(epoch=7), epoch) for epoch in (5, None)] == [7, 7]
    assert epoch_of(Stored(rewrite=True), 5) == 5
    with pytest.raises(RequestError, match="no source-date-epoch was found"):
        epoch_of(Stored(rewrite=True), None)


@pytest.mark.parametrize("dest", ["context", ".", "/"])
def test_only_a_directory_of_its_own_is_emptied(dest: str) -> None:
    with pytest.raises(RequestError, match="would remove the build context"):
        checked(Request.of(context=Path("context"), outputs=(LocalOutput(dest=Path(dest), delete=True),)))
    checked(Request.of(context=Path("context"), outputs=(LocalOutput(dest=Path(dest)),)))
    checked(Request.of(context=Path("context"), outputs=(LocalOutput(dest=Path("context/out"), delete=True),)))
