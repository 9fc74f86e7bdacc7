"""Flags of ``build`` about what is built, and how the image is named and written."""

import click

from pybuild.builder.cli.flags.group import group
from pybuild.builder.cli.flags.pull import pull_flag
from pybuild.builder.cli.flags.words import FILE, FOLDER, STAGE
from pybuild.runtime.values import frozen


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
    pull_flag,
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
