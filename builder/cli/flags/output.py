"""``-o``: where the image is written, and the options that change it: media types, compression, times, names."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pybuild.builder.cli.flags.build_values import checked_compression
from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Annotation, Compression, Output, Shape, Stored
from pybuild.builder.request.checks import full_names
from pybuild.builder.request.values import seconds_of
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.values import frozen

if TYPE_CHECKING:
    from pybuild.builder.outputs.kinds import Kind
    from pybuild.builder.outputs.options import OutputOptions

_KINDS = ("manifest", "index", "manifest-descriptor", "index-descriptor")
_KIND = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_/.-]+)\])?")
_FORMATS = {"oci": False, "docker": True}
_ANNOTATION = re.compile(r"annotation(?:-(?P<kind>[a-z-]+))?(?P<platform>\[[^\]]*\])?\.(?P<key>.+)")


@frozen
class Given:
    """One ``-o``: the output, and its options for the image. *oci_media_types* None defers to ``--format``."""

    output: "Kind"
    names: tuple[str, ...] = ()
    oci_media_types: bool | None = None
    compression: Compression | None = None
    force_compression: bool = False
    annotations: tuple[Annotation, ...] = ()
    stored: Stored = Stored()


@frozen
class Outputs:
    """All ``-o`` of a build together; *compression* is that of new layers."""

    outputs: tuple[Output, ...] = ()
    names: tuple[str, ...] = ()
    compression: Compression = Compression()
    annotations: tuple[Annotation, ...] = ()
    stored: Stored = Stored()


def read_outputs(
    texts: Sequence[str], form: str, compression: Compression | None, *, annotated: bool = False
) -> Outputs:
    """Return the outputs that the arguments *texts* of ``-o`` describe.

    *form* is the value of ``--format``, *compression* that of ``--compression``. zstd and annotations (*annotated* says
    that there are any) need OCI media types. As in Docker, an output that asks for others gets these, and a warning.

    Raises:
        RequestError: an option is wrong, or two outputs ask for different compressions and neither has
            ``force-compression``.
    """
    if not texts:
        return Outputs(compression=compression or Compression(), stored=_stored((), form))
    from pybuild.builder.outputs.image import ImageOutput
    from pybuild.builder.outputs.kinds import with_shape

    given = tuple(map(parse_output, texts))
    common = compression or next((item.compression for item in given if item.compression), Compression())
    about = tuple(each for item in given for each in item.annotations)
    shapes = [_shape(item, form, common, annotated=annotated or bool(about)) for item in given]
    outputs = [with_shape(item.output, shape) for item, shape in zip(given, shapes, strict=True)]
    return Outputs(
        outputs=tuple(item for item in outputs if not isinstance(item, ImageOutput)),
        names=tuple(name for item in given for name in item.names),
        compression=common,
        annotations=about,
        stored=_stored([(item, output.shape) for item, output in zip(given, outputs, strict=True)], form),
    )


def parse_output(text: str) -> Given:
    """Parse one ``-o``. Raises RequestError."""
    from pybuild.builder.outputs.kinds import parse
    from pybuild.builder.outputs.options import read

    options = read(text)
    return Given(
        output=parse(options),
        names=tuple(filter(None, options.text("name").split(","))),
        oci_media_types=options.optional_flag("oci-mediatypes"),
        compression=_compression(options),
        force_compression=options.flag("force-compression"),
        annotations=_annotations(options),
        stored=Stored(
            image=options.flag("store", default=True),
            canonical=options.flag("name-canonical"),
            dangling="".join(full_names(tuple(filter(None, (options.text("dangling-name-prefix"),))))),
            epoch=_seconds(options.text("source-date-epoch")) if "source-date-epoch" in options.values else None,
            rewrite=options.flag("rewrite-timestamp"),
        ),
    )


def _stored(given: Iterable[tuple[Given, Shape]], form: str) -> Stored:
    """Return the form of the image in the store: that of the first output that writes an image."""
    images = [(item.stored, shape) for item, shape in given if item.output.writes_image]
    stored = [item for item, _ in images]
    return Stored(
        image=not images or any(item.image for item in stored),
        shape=images[0][1] if images else Shape(docker=_FORMATS.get(form, False)),
        canonical=any(item.canonical for item in stored),
        dangling=next((item.dangling for item in stored if item.dangling), ""),
        epoch=next((item.epoch for item in stored if item.epoch is not None), None),
        rewrite=any(item.rewrite for item in stored),
    )


def _compression(options: "OutputOptions") -> Compression | None:
    if not {"compression", "compression-level"} & options.values.keys():
        return None
    return checked_compression(options.text("compression", "gzip"), options.values.get("compression-level"))


def _annotations(options: "OutputOptions") -> tuple[Annotation, ...]:
    """Return the annotations that options like ``annotation-index.KEY=VALUE`` make. Raises RequestError."""
    given = []
    for key, value in options.values.items():
        if not key.startswith("annotation"):
            continue
        found = _ANNOTATION.fullmatch(key)
        if found is None:
            raise RequestError(f"invalid --output option {key!r}", hint="write it as annotation.KEY=VALUE")
        given.append(f"{found['kind'] or 'manifest'}{found['platform'] or ''}:{found['key']}={value}")
    return annotations(given)


def _shape(given: Given, form: str, common: Compression, *, annotated: bool) -> Shape:
    docker = _FORMATS.get(form, False) if given.oci_media_types is None else not given.oci_media_types
    own = given.compression
    if own and own != common and not given.force_compression:
        raise RequestError(
            f"compression={own.algorithm} differs from that of the other outputs", hint="add force-compression=true"
        )
    if docker and form != "docker" and ((own or common).algorithm == "zstd" or annotated):
        warn(f"forcibly turning on oci-mediatype mode for {'annotations' if annotated else 'zstd'}")
        docker = False
    return Shape(docker=docker, compression=(own or common) if given.force_compression else None)


def _seconds(text: str) -> int:
    seconds = seconds_of(text)
    if seconds is None:
        raise RequestError(f"invalid source-date-epoch {text!r}: expected seconds since 1970")
    return seconds


def annotations(texts: Iterable[str]) -> tuple[Annotation, ...]:
    """Return the annotations of ``[KIND[PLATFORM],...:]KEY=VALUE``; without a kind they are for the manifest.

    Raises:
        RequestError: an unknown kind, no key, or no equals sign.
    """
    return tuple(annotation for item in texts for annotation in _annotations_of(item))


def _annotations_of(item: str) -> list[Annotation]:
    name, equals, value = item.partition("=")
    kinds, colon, key = name.rpartition(":")
    if not equals or not key:
        raise RequestError(f"invalid annotation {item!r}, expected [KIND:]KEY=VALUE")
    return [_annotation(kind, key, value) for kind in (kinds.split(",") if colon else ["manifest"])]


def _annotation(text: str, key: str, value: str) -> Annotation:
    found = _KIND.fullmatch(text)
    kind, platform = found.groups() if found else (text, None)
    if kind not in _KINDS:
        raise RequestError(f"unknown annotation type {kind!r}", hint=did_you_mean(kind, _KINDS))
    return Annotation(kind=kind, platform=platform or "", key=key, value=value)
