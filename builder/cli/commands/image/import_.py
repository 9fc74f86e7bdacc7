"""``pybuild import``: a root file system in a tar archive becomes an image of one layer."""

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.build_values import parse_compression
from pybuild.builder.cli.flags.completion_types import FILE
from pybuild.builder.cli.flags.group import option, part, takes
from pybuild.builder.cli.flags.new_image import EntryFlags, compression_flag, loading, name_image
from pybuild.builder.cli.flags.no_op import add_no_op_flags
from pybuild.builder.cli.image_events import log_image_event
from pybuild.builder.cli.tools import note, open_stdin, say, store
from pybuild.builder.edit.archive_layer import store_archive
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.image.catalog import familiar
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import Image, write_image
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.model import History, ImageConfig, Platform
from pybuild.builder.platforms import wanted_platform
from pybuild.builder.request.checks import full_names
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.store.store import Store
from pybuild.builder.transports.files import open_source
from pybuild.runtime.values import frozen


@frozen
class ImportFlags:
    """The config and the compression of the new image."""

    entry: EntryFlags = part(EntryFlags)
    platform: str | None = option(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        envvar="DOCKER_DEFAULT_PLATFORM",
        help="Platform of the files (default: this host's).",
    )
    packed: str = compression_flag()


@click.command("import", cls=Command)
@click.argument("source", metavar="FILE|URL|-", type=FILE)
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@takes(ImportFlags, "flags")
@add_no_op_flags("-q/--quiet")
@root_option
def command(source: str, name: str | None, *, flags: ImportFlags) -> None:
    """Create an image with one layer from a tar archive, plain or compressed, and print its ID.

    The archive is a file, an HTTP or HTTPS URL, or standard input (-).
    """
    names = full_names((name,)) if name else ()
    comment = flags.entry.message or f"Imported from {source}"
    config = flags.entry.change.changed(_config(wanted_platform(flags.platform), comment))
    compression = parse_compression(flags.packed)
    opened = store()
    try:
        with opened.in_use(), _open(opened, source) as stream, loading(None if source == "-" else source):
            image = _give_name(
                opened, config, store_archive(opened.blobs, stream, compression, "a root file system"), names
            )
        log_image_event(opened, "import", str(image.id), familiar(names[0]) if names else "")
    finally:
        opened.close()
    say(str(image.id))


def _open(opened: Store, source: str) -> BinaryIO:
    if source == "-":
        return open_stdin()
    if not source.lower().startswith(("http://", "https://")):
        return open_source(Path(source))
    from pybuild.builder.sources.address import HttpSource
    from pybuild.builder.sources.http import Fetching, ask

    known = ask(HttpSource(url=source), HostInputs(), opened, Fetching(tell=note))
    return opened.blobs.open(Digest.parse(known.digest))


def _config(platform: Platform, comment: str) -> ImageConfig:
    now = timestamp()
    return ImageConfig(
        created=now,
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        history=(History(created=now, comment=comment),),
    )


def _give_name(opened: Store, config: ImageConfig, layer: Layer, names: tuple[str, ...]) -> Image:
    image = write_image(opened.blobs, replace(config, diff_ids=(layer.diff_id,)), (layer.descriptor,))
    name_image(opened, image.descriptor, names)
    return image
