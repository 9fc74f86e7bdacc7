"""What the options of ``-o`` say of an image itself: its media types, compression, annotations, times and names."""

import re
from collections.abc import Iterable
from dataclasses import replace

from pybuild.builder.cli.flags.annotation import annotations
from pybuild.builder.cli.flags.build import flag, output_compression
from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import RequestError
from pybuild.builder.image.names import full_names
from pybuild.builder.plan.epoch_value import seconds_of
from pybuild.builder.request import Annotation, Compression, Output, Shape, Stored

_IMAGES = frozenset({"image", "registry", "oci", "docker"})
_FORMATS = {"oci": False, "docker": True}
_PREFIX = "dangling-name-prefix"
_ANNOTATION = re.compile(r"annotation(?:-(?P<kind>[a-z-]+))?(?P<platform>\[[^\]]*\])?\.(?P<key>.+)")


def shaped_outputs(
    outputs: Iterable[Output], form: str, default: Compression, *, annotated: bool = False
) -> tuple[Output, ...]:
    """Return *outputs* with their shapes; *form* is that of ``--format``, *default* how new layers are compressed.

    zstd and annotations (*annotated* says that there are any) need OCI media types: as in Docker, an output that asks
    for others gets these, and a warning.

    Raises:
        RequestError: two outputs ask for different compressions, and neither to have all layers made anew.
    """
    return tuple(replace(item, shape=_shape(item, form, default, annotated=annotated)) for item in outputs)


def stored(outputs: tuple[Output, ...], form: str) -> Stored:
    """Return what the store keeps: the image as the first of *outputs* that is an image has it."""
    images = [item for item in outputs if item.type in _IMAGES]
    options = [dict(item.options) for item in images]
    return Stored(
        image=not images or any(flag(item, "store", default=True) for item in options),
        shape=images[0].shape if images else Shape(docker=_FORMATS.get(form, False)),
        canonical=any(flag(item, "name-canonical") for item in options),
        dangling=next(iter(full_names(tuple(filter(None, (item.get(_PREFIX) for item in options))))), ""),
        epoch=next((_seconds(item["source-date-epoch"]) for item in options if "source-date-epoch" in item), None),
        rewrite=any(flag(item, "rewrite-timestamp") for item in options),
    )


def output_annotations(outputs: Iterable[Output]) -> tuple[Annotation, ...]:
    """Return the annotations that options like ``annotation-index.KEY=VALUE`` make. Raises RequestError."""
    given = []
    for key, value in (pair for item in outputs for pair in item.options if pair[0].startswith("annotation")):
        found = _ANNOTATION.fullmatch(key)
        if found is None:
            raise RequestError(f"invalid --output option {key!r}", hint="write it as annotation.KEY=VALUE")
        given.append(f"{found['kind'] or 'manifest'}{found['platform'] or ''}:{found['key']}={value}")
    return annotations(given)


def _shape(output: Output, form: str, default: Compression, *, annotated: bool) -> Shape:
    options = dict(output.options)
    docker = not flag(options, "oci-mediatypes", default=not _FORMATS.get(form, False))
    own = output_compression([output])
    forced = flag(options, "force-compression")
    if own and own != default and not forced:
        raise RequestError(
            f"compression={own.algorithm} is not that of the other outputs", hint="add force-compression=true"
        )
    if docker and form != "docker" and ((own or default).algorithm == "zstd" or annotated):
        warn(f"forcibly turning on oci-mediatype mode for {'annotations' if annotated else 'zstd'}")
        docker = False
    return Shape(docker=docker, compression=(own or default) if forced else None)


def _seconds(text: str) -> int:
    seconds = seconds_of(text)
    if seconds is None:
        raise RequestError(f"invalid source-date-epoch {text!r}: expected seconds since 1970")
    return seconds
