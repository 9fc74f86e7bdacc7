"""Flags of ``build`` about what is built, and how the image is named and written."""

from collections.abc import Sequence
from typing import Any

import click

from pybuild.builder.cli.flags.group import group
from pybuild.builder.cli.flags.words import FILE, FOLDER, STAGE
from pybuild.builder.errors import RequestError
from pybuild.builder.image.names import full_names
from pybuild.builder.request import Target
from pybuild.runtime.values import frozen

_POLICIES = ("always", "missing", "never", "newer")


@frozen
class ImageFlags:
    """What these flags say, as it is written."""

    context: str
    tags: tuple[str, ...]
    file: str | None
    build_args: tuple[str, ...]
    build_contexts: tuple[str, ...]
    targets: tuple[str, ...]
    no_cache: bool
    pull: bool
    pull_policy: str | None
    labels: tuple[str, ...]
    annotations: tuple[str, ...]
    network: str | None
    platforms: tuple[str, ...]
    add_hosts: tuple[str, ...]
    outputs: tuple[str, ...]
    compression: str | None
    squash: bool
    squash_all: bool
    load: bool
    push: bool


def _pull_flag(function: Any) -> Any:
    """Add ``--pull[=POLICY]``: a flag as in docker build, a choice as in buildah."""
    text = (
        "Always look up base images in their registries, even when the store has them. --pull=missing (default) does so"
        " only for missing ones, --pull=never not at all; --pull=newer uses the store when no registry answers."
    )
    policy = click.option("--pull-policy", hidden=True, callback=_policy)
    return click.option("--pull", is_flag=True, help=text)(policy(function))


def _policy(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value not in {None, *_POLICIES}:
        raise RequestError(f"invalid value for --pull: {value!r}", hint=f"use one of {', '.join(_POLICIES)}")
    return value


image_flags = group(
    "image",
    ImageFlags,
    click.argument("context", metavar="CONTEXT", type=FOLDER),
    click.option(
        "-t",
        "--tag",
        "tags",
        multiple=True,
        metavar="NAME[:TAG]",
        help="Name and optionally a tag for the image; repeatable.",
    ),
    click.option(
        "-f",
        "--file",
        type=FILE,
        metavar="PATH|URL",
        help="Name of the Dockerfile (default: CONTEXT/Dockerfile); - is standard input.",
    ),
    click.option(
        "--build-arg",
        "build_args",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Set a build argument; NAME alone takes its value from the environment. Repeatable.",
    ),
    click.option(
        "--build-context",
        "build_contexts",
        multiple=True,
        metavar="NAME=VALUE",
        help="Additional build context, which replaces the stage or image NAME: a directory, a URL, "
        "docker-image://IMAGE or oci-layout://DIR. Repeatable.",
    ),
    click.option(
        "--target",
        "targets",
        multiple=True,
        type=STAGE,
        metavar="STAGE[=NAME]",
        help="Stage to build (default: the last). Repeat it to build several, each with its own image names: "
        "--target a=x:1 --target b=y:1.",
    ),
    click.option("--no-cache", is_flag=True, help="Do not use the cache: run every step."),
    _pull_flag,
    click.option(
        "--label", "labels", multiple=True, metavar="NAME=VALUE", help="Set a label of the image; repeatable."
    ),
    click.option(
        "--annotation",
        "annotations",
        multiple=True,
        metavar="[KIND:]KEY=VALUE",
        help="Add an annotation to the image. KIND is manifest (default), index, manifest-descriptor or "
        "index-descriptor; manifest[PLATFORM] means one platform only. Repeatable.",
    ),
    click.option(
        "--network",
        default="default",
        metavar="MODE",
        help="Network of RUN steps: default and host use the network of the host, none has a loopback interface only.",
    ),
    click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH[/VARIANT][,...]",
        help="Platform to build for (default: $DOCKER_DEFAULT_PLATFORM, else this host's). Several make an index with "
        "an image for each.",
    ),
    click.option(
        "--add-host", "add_hosts", multiple=True, metavar="NAME:ADDRESS", help="Add a line to /etc/hosts of RUN steps."
    ),
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        metavar="SPEC",
        help="Also write the result: type=oci|docker|tar|local,dest=PATH to a file or directory, type=registry to a "
        "registry. Repeatable.",
    ),
    click.option(
        "--compression", metavar="TYPE[,LEVEL]", help="Compression of new layers: gzip (default), zstd or uncompressed."
    ),
    click.option("--squash", is_flag=True, help="Squash newly built layers into a single new layer."),
    click.option("--squash-all", is_flag=True, help="Squash the whole image into a single layer, its base included."),
    click.option("--load", is_flag=True, help="No effect: the image is always kept in the store."),
    click.option("--push", is_flag=True, help="Push the image under its names; short for -o type=registry."),
)
"""Adds these flags to a command, which gets what they say as ``image``."""


def targets(given: Sequence[str], tags: tuple[str, ...]) -> tuple[Target, ...]:
    """Return the targets of ``STAGE`` and ``STAGE=NAME[:TAG][,NAME...]``; *tags* are those of the one without names.

    Raises:
        RequestError: no stage, a stage twice, or names that could be those of more than one target.
    """
    found = [_target(item) for item in given]
    stages = [target.stage for target in found]
    if len(set(stages)) < len(stages):
        raise RequestError("a target is given twice", hint="give all its names at once: STAGE=NAME,NAME")
    nameless = [target for target in found if not target.tags]
    if len(found) > 1 and tags and len(nameless) != 1:
        raise RequestError("which target is -t for?", hint="give each target its names: --target STAGE=NAME[:TAG]")
    if len(found) == 1:
        return (Target(stage=found[0].stage, tags=(*tags, *found[0].tags)),)
    return tuple(target if target.tags else Target(stage=target.stage, tags=tags) for target in found)


def _target(item: str) -> Target:
    stage, equals, names = item.partition("=")
    if not stage or (equals and not names):
        raise RequestError(f"invalid target {item!r}, expected STAGE or STAGE=NAME[:TAG]")
    return Target(stage=stage, tags=full_names(tuple(names.split(","))) if names else ())
