import pytest

from pybuild.builder.cli.flags.output import Outputs, annotations, read_outputs
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Annotation, Compression, Shape, Stored

GZIP, ZSTD = Compression(), Compression(algorithm="zstd", level=7)


def asked(*given: str, form: str = "", default: Compression | None = GZIP) -> Outputs:
    return read_outputs(given, form, default)


def test_what_the_first_image_asks_for_the_store_keeps() -> None:
    found = asked("type=tar,dest=x", "type=oci,dest=y,oci-mediatypes=false", "type=oci,dest=z")
    assert [item.shape for item in found.outputs] == [Shape(), Shape(docker=True), Shape()]
    assert found.stored == Stored(shape=Shape(docker=True))
    assert asked(form="docker").stored == Stored(shape=Shape(docker=True))
    assert asked() == Outputs()


def test_an_option_counts_for_more_than_the_flag() -> None:
    assert asked("type=oci,dest=x", form="docker").outputs[0].shape.docker
    assert not asked("type=oci,dest=x,oci-mediatypes=1", form="docker").outputs[0].shape.docker


def test_forced_compression_is_that_of_the_output_or_of_the_build() -> None:
    own = "type=oci,dest=x,compression=zstd,compression-level=7,force-compression=true"
    assert asked(own).outputs[0].shape == Shape(compression=ZSTD)
    assert asked("type=oci,dest=x,force-compression=t", default=ZSTD).outputs[0].shape == Shape(compression=ZSTD)
    with pytest.raises(RequestError, match="differs from that of the other outputs"):
        asked("type=oci,dest=x,compression=zstd")


def test_names_and_keeping_are_asked_for() -> None:
    found = asked("type=image,name-canonical=true,dangling-name-prefix=p", "type=oci,dest=x,store=false,name=b")
    assert found.stored == Stored(canonical=True, dangling="docker.io/library/p:latest")
    assert (len(found.outputs), found.names) == (1, ("b",))
    assert not asked("type=oci,dest=x,store=false").stored.image


def test_a_compression_that_one_output_asks_for_is_that_of_new_layers() -> None:
    found = asked("type=tar,dest=x", "type=oci,dest=y,compression=zstd,compression-level=7", default=None)
    assert (found.compression, found.outputs[1].shape) == (ZSTD, Shape())
    assert asked("type=tar,dest=x", default=None).compression == GZIP


def test_annotations_have_kinds_and_platforms() -> None:
    given = asked("type=image,annotation.a=1,annotation[linux/arm64].b.c=2,annotation-index.d=3")
    assert given.annotations == (
        Annotation(kind="manifest", key="a", value="1"),
        Annotation(kind="manifest", platform="linux/arm64", key="b.c", value="2"),
        Annotation(kind="index", key="d", value="3"),
    )


def test_an_output_may_name_the_time_and_ask_for_one() -> None:
    assert asked("type=image,source-date-epoch=7,rewrite-timestamp=1").stored == Stored(epoch=7, rewrite=True)
    with pytest.raises(RequestError, match="invalid source-date-epoch 'x'"):
        asked("type=image,source-date-epoch=x")


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
