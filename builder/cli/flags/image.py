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
        "Ask registries for base images even when the store has them; --pull=always is the same, =missing the default,"
        " =never asks none, =newer takes what the store has when no registry answers."
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
        "-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name of the image; may be repeated."
    ),
    click.option(
        "-f",
        "--file",
        type=FILE,
        metavar="PATH|URL",
        help="Dockerfile (default: CONTEXT/Dockerfile); - reads standard input.",
    ),
    click.option(
        "--build-arg",
        "build_args",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Build argument; a NAME alone from env.",
    ),
    click.option(
        "--build-context",
        "build_contexts",
        multiple=True,
        metavar="NAME=VALUE",
        help="Use a folder, URL, docker-image:// or oci-layout:// for a stage or image; repeatable.",
    ),
    click.option(
        "--target",
        "targets",
        multiple=True,
        type=STAGE,
        metavar="STAGE[=NAME]",
        help="Stage to build (default: the last); several, each with its names: a=x:1 b=y:1.",
    ),
    click.option("--no-cache", is_flag=True, help="Run every step, whatever the cache has."),
    _pull_flag,
    click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label of the image."),
    click.option(
        "--annotation",
        "annotations",
        multiple=True,
        metavar="[KIND:]KEY=VALUE",
        help="Annotate the manifest (KIND manifest[PLATFORM], the default), the index, "
        "or with -descriptor what names it.",
    ),
    click.option(
        "--network",
        default="default",
        metavar="MODE",
        help="Network of RUN: default and host are the host's; none is a loopback of its own.",
    ),
    click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH[/VARIANT][,...]",
        help="Platform of the image (also DOCKER_DEFAULT_PLATFORM); several make an index of images.",
    ),
    click.option("--add-host", "add_hosts", multiple=True, metavar="NAME:ADDRESS", help="Line of /etc/hosts for RUN."),
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        metavar="SPEC",
        help="Also write: type=oci|docker|tar|local,dest=PATH, or push: type=registry.",
    ),
    click.option("--compression", metavar="TYPE[,LEVEL]", help="Of new layers: gzip (default), zstd or uncompressed."),
    click.option("--squash", is_flag=True, help="Make one layer of all that the build adds to its base."),
    click.option("--squash-all", is_flag=True, help="Make one layer of the whole image, its base included."),
    click.option("--load", is_flag=True, help="Keep the image in the store, which is always done."),
    click.option("--push", is_flag=True, help="Push the image under its names when it is built: -o type=registry."),
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
