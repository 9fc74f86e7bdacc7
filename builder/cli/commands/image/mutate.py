"""``pybuild mutate``: an image with another config, other annotations or more layers, without a build."""

import os
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from pybuild.builder.cli.flags.build import compression as parse_compression
from pybuild.builder.cli.flags.build import source_date_epoch
from pybuild.builder.cli.flags.naming import name_image, platform_option, tag_option
from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.tools import Command, binary_stdin, root_option, say, store
from pybuild.builder.edit.archive_layer import store_archive
from pybuild.builder.edit.documents import Documents, layer_members
from pybuild.builder.edit.settings import Settings, configured, edited
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.image.catalog import find_image
from pybuild.builder.image.names import full_names
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.platforms import parse_platform
from pybuild.builder.store.store import Store

_EPILOG = """\b
Values:
  - NAME=VALUE sets one, NAME= sets it to an empty text, NAME- removes it, and
    - alone removes all; the same with ports (80-) and volumes (/data-).
  - An empty text removes --user, --workdir, --stop-signal, --entrypoint and
    --cmd.
  - --entrypoint and --cmd take a JSON list, or a text for the image's shell, as
    in a Dockerfile. A new entrypoint removes the command, unless --cmd is given.
  - Flags of one name apply from left to right; -c comes after all of them.
  - What is removed stays readable in the history and in the layers: pybuild
    flatten leaves both out.
  - A layer that is added makes the image as new as itself: now, or the time of
    SOURCE_DATE_EPOCH.
"""


@click.command("mutate", cls=Command, epilog=_EPILOG, short_help="Change an image without a build.")
@click.argument("image", type=IMAGE)
@tag_option
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE|NAME-", help="Set or remove a variable.")
@click.option("-l", "--label", "labels", multiple=True, metavar="NAME=VALUE|NAME-", help="Set or remove a label.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Who commands run as.")
@click.option("-w", "--workdir", metavar="DIR", help="Folder that commands start in.")
@click.option("--entrypoint", metavar="COMMAND", help="What the image runs.")
@click.option("--cmd", metavar="COMMAND", help="Its arguments, or what it runs without an entrypoint.")
@click.option("--expose", multiple=True, metavar="PORT[/PROTOCOL]|PORT-", help="Add or remove a port.")
@click.option("--volume", "volumes", multiple=True, metavar="PATH|PATH-", help="Add or remove a volume.")
@click.option("--stop-signal", metavar="SIGNAL", help="What ends it.")
@click.option("--annotation", "annotations", multiple=True, metavar="NAME=VALUE|NAME-", help="Of the manifest.")
@click.option("--set-platform", metavar="OS/ARCH[/VARIANT]", help="What the image says that it is for.")
@click.option("--append", multiple=True, metavar="FILE|-", help="Add a layer: a tar archive, plain, gzip or zstd.")
@click.option("--compression", "packed", default="gzip", metavar="TYPE[,LEVEL]", help="Of layers that are added.")
@click.option("-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help='Such as "SHELL [...]".')
@platform_option
@root_option
def command(
    image: str,
    *,
    tags: tuple[str, ...],
    annotations: tuple[str, ...],
    set_platform: str | None,
    append: tuple[str, ...],
    packed: str,
    changes: tuple[str, ...],
    platform: str | None,
    **settings: Any,
) -> None:
    """Make an image that differs from IMAGE in what the flags say, and print its ID.

    IMAGE stays as it is, and so do its layers: nothing is unpacked or run. All that is not asked for is kept, the time
    of creation and members of config and manifest that pybuild does not know, too. Changes of the config leave no
    entry in the history. The manifest becomes an OCI manifest if it was one of Docker's. --platform chooses an image
    and the result is for this platform alone; --set-platform changes what the image says of itself.
    """
    names = full_names(tags)
    wanted = parse_platform(platform) if platform else None
    opened = store()
    try:
        with opened.in_use():
            source = find_image(opened, image, wanted)
            after = _config(source.config, Settings(**settings), set_platform, changes)
            documents = Documents.read(opened.blobs, source).with_config(source.config, after)
            if annotations:
                own = edited(source.manifest.annotations, annotations, "--annotation")
                documents = documents.with_annotations(own)
            documents = _appended(opened, documents, append, packed)
            made = documents.write(opened.blobs, source)
            name_image(opened, made.descriptor, names)
    finally:
        opened.close()
    say(str(made.id))


def _config(config: ImageConfig, settings: Settings, set_platform: str | None, changes: tuple[str, ...]) -> ImageConfig:
    config = replace(config, config=configured(config.config, settings))
    if set_platform:
        target = parse_platform(set_platform)
        config = replace(config, os=target.os, architecture=target.architecture, variant=target.variant)
    if changes:
        from pybuild.builder.cli.flags.changes import changed

        config = changed(config, changes)
    return config


def _appended(opened: Store, documents: Documents, append: tuple[str, ...], packed: str) -> Documents:
    compression = parse_compression(packed)
    for source in append:
        with _archive(source) as stream:
            layer = store_archive(opened.blobs, stream, compression, "a layer")
        documents = _with_layer(documents, layer, source)
    return documents


def _archive(source: str) -> AbstractContextManager[BinaryIO]:
    return binary_stdin() if source == "-" else Path(source).open("rb")


def _with_layer(documents: Documents, layer: Layer, source: str) -> Documents:
    epoch = source_date_epoch(os.environ)
    now = timestamp(None if epoch is None else epoch * 1_000_000_000)
    entry = {"created": now, "created_by": f"pybuild mutate --append {Path(source).name}"}
    longer = documents.with_layers(
        (*documents.layers, layer_members(layer)),
        (*documents.diff_ids, str(layer.diff_id)),
        (*documents.history, entry),
    )
    return replace(longer, config={**longer.config, "created": now})
