"""``pybuild import``: a root file system in a tar archive becomes an image of one layer."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click

from builder.commands.build_flags import compression as parse_compression
from builder.commands.tools import Command, binary_stdin, machine, root_option, say
from builder.errors import RequestError
from builder.image import timestamp
from builder.machine import Machine
from builder.names import full_names
from builder.oci import media
from builder.oci.compression import decompressing, open_compressor
from builder.oci.digest import Digest
from builder.oci.image import Image, write_image
from builder.oci.layer import Layer
from builder.oci.model import Descriptor, History, ImageConfig, Platform
from builder.oci.pipeline import Stage
from builder.oci.unpack import entries
from builder.oci.verified import pieces
from builder.platforms import wanted_platform
from builder.request import Compression


@click.command("import", cls=Command, short_help="Make an image of a root file system.")
@click.argument("source", metavar="FILE|-")
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@click.option(
    "-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help='Such as "CMD /bin/sh"; repeatable.'
)
@click.option("-m", "--message", default="", metavar="TEXT", help="Comment in the history.")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="What the files are for (default: this machine).")
@click.option("--compression", "packed", default="gzip", metavar="TYPE[,LEVEL]", help="Of the layer in the store.")
@root_option
def command(
    source: str, name: str | None, *, changes: tuple[str, ...], message: str, platform: str | None, packed: str
) -> None:
    """Make an image of one layer from the tar archive FILE, plain or compressed, and print its ID.

    Other than docker import, no URL is taken.
    """
    names = full_names((name,)) if name else ()
    config = _config(wanted_platform(platform), message or f"Imported from {source}")
    if changes:
        from builder.commands.changes import changed

        config = changed(config, changes)
    compression = parse_compression(packed)
    opened = machine()
    try:
        with opened.in_use(), binary_stdin() if source == "-" else Path(source).open("rb") as stream:
            image = _named(opened, config, _store(opened, stream, compression), names)
    finally:
        opened.close()
    say(str(image.id))


def _config(platform: Platform, comment: str) -> ImageConfig:
    now = timestamp()
    return ImageConfig(
        created=now,
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        history=(History(created=now, comment=comment),),
    )


def _store(opened: Machine, stream: BinaryIO, compression: Compression) -> Layer:
    """Store the archive as a layer, as it is but compressed anew; the diff ID is taken on the way."""
    digest = hashlib.sha256()
    with opened.blobs.writer() as blob:
        compressor = open_compressor(compression.algorithm, compression.level, blob.write)
        hasher = Stage[bytes](digest.update)
        try:
            for piece in pieces(decompressing(stream)):
                hasher.put(piece)
                compressor.write(piece)
            compressor.close()
            hasher.close()
        finally:
            compressor.abort()
            hasher.abort()
        name, size = blob.commit()
    media_type = media.oci_layer(compression.algorithm)
    layer = Descriptor(media_type=media_type, digest=name, size=size)
    _check(opened, layer)
    return Layer(descriptor=layer, diff_id=Digest("sha256", digest.hexdigest()))


def _check(opened: Machine, layer: Descriptor) -> None:
    """Read the layer as unpacking would, so that what is no root file system is refused now and not in a build."""
    with opened.blobs.open(layer) as stream:
        count = sum(1 for _ in entries(stream))
    if not count:
        raise RequestError("the archive is empty: a root file system is expected")


def _named(opened: Machine, config: ImageConfig, layer: Layer, names: tuple[str, ...]) -> Image:
    image = write_image(opened.blobs, replace(config, diff_ids=(layer.diff_id,)), (layer.descriptor,))
    for name in names:
        opened.layout.tag(name, image.descriptor)
    if not names:
        opened.layout.keep(image.descriptor)
    return image
