import pytest

from pybuild.builder.cli.flags.build import output
from pybuild.builder.cli.flags.output_shape import output_annotations, shaped_outputs, stored
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Annotation, Compression, Output, Shape, Stored

GZIP, ZSTD = Compression(), Compression(algorithm="zstd", level=7)


def outputs(*given: str, form: str = "", default: Compression = GZIP) -> tuple[Output, ...]:
    return shaped_outputs([output(item) for item in given], form, default)


def test_what_the_first_image_asks_for_the_store_keeps() -> None:
    asked = outputs("type=tar,dest=x", "type=oci,dest=y,oci-mediatypes=false", "type=oci,dest=z")
    assert [item.shape for item in asked] == [Shape(), Shape(docker=True), Shape()]
    assert stored(asked, "") == Stored(shape=Shape(docker=True))
    assert stored((), "docker") == Stored(shape=Shape(docker=True))
    assert stored((), "") == Stored()


def test_an_option_counts_for_more_than_the_flag() -> None:
    assert outputs("type=oci,dest=x", form="docker")[0].shape.docker
    assert not outputs("type=oci,dest=x,oci-mediatypes=1", form="docker")[0].shape.docker


def test_forced_compression_is_that_of_the_output_or_of_the_build() -> None:
    own = "type=oci,dest=x,compression=zstd,compression-level=7,force-compression=true"
    assert outputs(own)[0].shape == Shape(compression=ZSTD)
    assert outputs("type=oci,dest=x,force-compression=t", default=ZSTD)[0].shape == Shape(compression=ZSTD)
    with pytest.raises(RequestError, match="not that of the other outputs"):
        outputs("type=oci,dest=x,compression=zstd")


def test_names_and_keeping_are_asked_for() -> None:
    asked = outputs("type=image,name-canonical=true,dangling-name-prefix=p", "type=oci,dest=x,store=false")
    assert stored(asked, "") == Stored(canonical=True, dangling="docker.io/library/p:latest")
    assert not stored(outputs("type=oci,dest=x,store=false"), "").image


def test_annotations_have_kinds_and_platforms() -> None:
    given = outputs("type=image,annotation.a=1,annotation[linux/arm64].b.c=2,annotation-index.d=3")
    assert output_annotations(given) == (
        Annotation(kind="manifest", key="a", value="1"),
        Annotation(kind="manifest", platform="linux/arm64", key="b.c", value="2"),
        Annotation(kind="index", key="d", value="3"),
    )


def test_an_output_may_name_the_time_and_ask_for_one() -> None:
    assert stored(outputs("type=image,source-date-epoch=7,rewrite-timestamp=1"), "") == Stored(epoch=7, rewrite=True)
    with pytest.raises(RequestError, match="invalid source-date-epoch 'x'"):
        stored(outputs("type=image,source-date-epoch=x"), "")
