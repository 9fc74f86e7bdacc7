"""``pybuild save``: images of the store as one archive."""

from pathlib import Path

import click

from pybuild.builder.cli.flags.silent import taken
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.tools import Command, root_option, store, warn
from pybuild.builder.image.catalog import Listed, catalog, familiar, find
from pybuild.builder.oci.archive.save import Named, save
from pybuild.builder.oci.image import choose_manifest
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.oci.present import whole_or_present
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.store.store import Store


@click.command("save", cls=Command, short_help="Save images to an archive.")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=IMAGE)
@click.option("-o", "--output", type=FilePath(), metavar="FILE", help="Default: standard output.")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Of images for several platforms, save this one only.")
@click.option(
    "--format",
    type=click.Choice(["docker-archive", "oci-archive"]),
    expose_value=False,
    help="The same: the archive is both.",
)
@taken("-q/--quiet", "-m/--multi-image-archive", "--compress")
@root_option
def command(images: tuple[str, ...], output: Path | None, platform: str | None) -> None:
    """Save images to one archive that Docker and OCI tools read.

    Layers are written as they are stored, compressed. An image given by ID has no name in the archive, a name without
    a tag means all images of this name. FILE appears when it is complete. Of an index of which the store has one image,
    that image is saved.
    """
    from pybuild.builder.platforms import parse_platform

    wanted = parse_platform(platform) if platform else None
    opened = store()
    try:
        with opened.in_use():
            chosen = _chosen(opened, images, wanted)
            with destination(output if str(output) != "-" else None) as file:
                save(opened.blobs, chosen, sink(file))
    finally:
        opened.close()


def _chosen(opened: Store, texts: tuple[str, ...], platform: Platform | None) -> list[Named]:
    """Return each image once, with the names by which it was asked for."""
    names: dict[str, list[str]] = {}
    descriptors = {}
    for text, found in [(asked, each) for asked in texts for each in _meant(opened, asked)]:
        descriptor = _what(opened, text, found.descriptor, platform)
        descriptors[str(descriptor.digest)] = descriptor
        names.setdefault(str(descriptor.digest), []).extend([found.name] if found.name else [])
    return [(tuple(dict.fromkeys(names[key])), descriptor) for key, descriptor in descriptors.items()]


def _meant(opened: Store, text: str) -> list[Listed]:
    """Return what *text* names; the name of a repository alone, as in Docker, is all that it has."""
    entries = catalog(opened)
    repository = [
        entry
        for entry in entries
        if entry.reference is not None and entry.reference.tag and familiar(entry.name).rpartition(":")[0] == text
    ]
    return repository or [find(opened, text)]


def _what(opened: Store, text: str, listed: Descriptor, platform: Platform | None) -> Descriptor:
    if platform:
        return choose_manifest(opened.blobs, listed, platform)
    found = whole_or_present(opened.blobs, listed)
    if found.digest != listed.digest:
        warn(f"{text}: the store does not have the images for all platforms; saving the one for {found.platform}")
    return found
