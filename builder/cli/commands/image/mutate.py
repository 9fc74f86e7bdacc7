"""``pybuild mutate``: an image with another config, other annotations or more layers, without a build."""

import os
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import BinaryIO

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.build_values import parse_compression, source_date_epoch
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.group import option, part, takes
from pybuild.builder.cli.flags.new_image import ChangeFlags, compression_flag, name_image, platform_option, tag_option
from pybuild.builder.cli.tools import open_stdin, say, store
from pybuild.builder.edit.archive_layer import store_archive
from pybuild.builder.edit.config_edits import ConfigEdits, configured, edited
from pybuild.builder.edit.documents import ImageDocuments, layer_members
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.image.catalog import find_image
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.platforms import given_platform, parse_platform
from pybuild.builder.request.checks import full_names
from pybuild.builder.store.store import Store
from pybuild.builder.transports.files import open_source
from pybuild.runtime.values import frozen

_EPILOG = """\b
Values:
  - NAME=VALUE sets a variable, label or annotation, NAME= sets it to the empty
    string, NAME- removes it, and - removes all of them. Ports and volumes are
    removed in the same way: 80- and /data-.
  - An empty string removes --user, --workdir, --stop-signal, --entrypoint or
    --cmd.
  - --entrypoint and --cmd take a JSON array, or a command for the image's shell,
    as in a Dockerfile. A new entrypoint removes the command unless --cmd is given.
  - A flag that is repeated applies from left to right; -c applies last.
  - Removed values can still be read in the history and in the layers. To remove
    them there, use "pybuild flatten".
  - An appended layer sets the creation time of the image to now, or to
    SOURCE_DATE_EPOCH.
"""


@frozen
class EditFlags:
    """Changes of the defaults of containers. An empty value removes the setting."""

    env: tuple[str, ...] = option(
        "-e", "--env", empty=True, multiple=True, metavar="NAME=VALUE|NAME-", help="Set or remove a variable."
    )
    labels: tuple[str, ...] = option(
        "-l", "--label", empty=True, multiple=True, metavar="NAME=VALUE|NAME-", help="Set or remove a label."
    )
    user: str | None = option("-u", "--user", empty=True, metavar="USER[:GROUP]", help="User that commands run as.")
    workdir: str | None = option("-w", "--workdir", empty=True, metavar="DIR", help="Working directory of commands.")
    entrypoint: str | None = option("--entrypoint", empty=True, metavar="COMMAND", help="Entrypoint of the image.")
    cmd: str | None = option(
        "--cmd", empty=True, metavar="COMMAND", help="Default command, or default arguments of the entrypoint."
    )
    expose: tuple[str, ...] = option(
        "--expose", empty=True, multiple=True, metavar="PORT[/PROTOCOL]|PORT-", help="Add or remove a port."
    )
    volumes: tuple[str, ...] = option(
        "--volume", empty=True, multiple=True, metavar="PATH|PATH-", help="Add or remove a volume."
    )
    stop_signal: str | None = option(
        "--stop-signal", empty=True, metavar="SIGNAL", help="Signal that stops a container of the image."
    )

    def edits(self) -> ConfigEdits:
        """Return the changes."""
        return ConfigEdits(**{each.name: getattr(self, each.name) for each in fields(ConfigEdits)})


@frozen
class MutateFlags:
    """All changes of an image."""

    edits: EditFlags = part(EditFlags)
    annotations: tuple[str, ...] = option(
        "--annotation",
        empty=True,
        multiple=True,
        metavar="NAME=VALUE|NAME-",
        help="Set or remove an annotation of the manifest.",
    )
    set_platform: str | None = option(
        "--set-platform", metavar="OS/ARCH[/VARIANT]", help="Platform that the config of the image names."
    )
    append: tuple[str, ...] = option(
        "--append",
        empty=True,
        multiple=True,
        metavar="FILE|-",
        help="Append a tar archive as a layer, plain or compressed by gzip or zstd.",
    )
    packed: str = compression_flag("appended layers")
    change: ChangeFlags = part(ChangeFlags)

    def config(self, config: ImageConfig) -> ImageConfig:
        """Return *config* with the changes that the flags ask for."""
        config = replace(config, config=configured(config.config, self.edits.edits()))
        if self.set_platform:
            target = parse_platform(self.set_platform)
            config = replace(config, os=target.os, architecture=target.architecture, variant=target.variant)
        return self.change.changed(config)


@click.command("mutate", cls=Command, epilog=_EPILOG)
@click.argument("image", type=IMAGE)
@tag_option
@takes(MutateFlags, "flags")
@platform_option
@root_option
def command(image: str, *, tags: tuple[str, ...], flags: MutateFlags, platform: str | None) -> None:
    """Create an image from IMAGE with the changes that the flags ask for, and print its ID.

    IMAGE itself is not changed; nothing is unpacked or run. Everything else is kept, including the creation time and
    fields of config and manifest that are unknown to pybuild. Changes of the config add no history entry. A Docker
    manifest becomes an OCI manifest. --platform chooses one image of a multi-platform image, and the result has that
    platform only; --set-platform changes the platform that the image claims to be for.
    """
    names = full_names(tags)
    wanted = given_platform(platform)
    opened = store()
    try:
        with opened.in_use():
            source = find_image(opened, image, wanted)
            after = flags.config(source.config)
            documents = ImageDocuments.read(opened.blobs, source).with_config(source.config, after)
            if flags.annotations:
                own = edited(source.manifest.annotations, flags.annotations, "--annotation")
                documents = documents.with_annotations(own)
            documents = _append(opened, documents, flags.append, flags.packed)
            made = documents.write(opened.blobs, source)
            name_image(opened, made.descriptor, names)
    finally:
        opened.close()
    say(str(made.id))


def _append(opened: Store, documents: ImageDocuments, append: tuple[str, ...], packed: str) -> ImageDocuments:
    compression = parse_compression(packed)
    for source in append:
        with _archive(source) as stream:
            layer = store_archive(opened.blobs, stream, compression, "a layer")
        documents = _with_layer(documents, layer, source)
    return documents


def _archive(source: str) -> AbstractContextManager[BinaryIO]:
    return open_stdin() if source == "-" else open_source(Path(source))


def _with_layer(documents: ImageDocuments, layer: Layer, source: str) -> ImageDocuments:
    epoch = source_date_epoch(os.environ)
    now = timestamp(None if epoch is None else epoch * 1_000_000_000)
    entry = {"created": now, "created_by": f"pybuild mutate --append {Path(source).name}"}
    longer = documents.with_layers(
        (*documents.layers, layer_members(layer)),
        (*documents.diff_ids, str(layer.diff_id)),
        (*documents.history, entry),
    )
    return replace(longer, config={**longer.config, "created": now})
