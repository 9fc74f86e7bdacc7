"""``pybuild load``: images from an archive into the store."""

from dataclasses import replace
from pathlib import Path

import click

from pybuild.builder.cli.flags.naming import loading
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.tools import Command, binary_stdin, root_option, say, store
from pybuild.builder.image.catalog import familiar
from pybuild.builder.oci.archive.load import Loaded, load, load_files
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.model import Platform
from pybuild.builder.oci.present import choose_present
from pybuild.builder.platforms import parse_platform
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import InvalidReference, parse_reference


@click.command("load", cls=Command, short_help="Load images from an archive.")
@click.option("-i", "--input", "source", type=FilePath(), metavar="FILE", help="Default: standard input.")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Of images for several platforms, this one only.")
@click.option("-q", "--quiet", is_flag=True, help="The same: only the names are printed.")
@root_option
def command(source: Path | None, platform: str | None, **_quiet: bool) -> None:
    """Load images from an archive of docker save, podman save or an OCI layout, plain or compressed, or from a folder.

    The names in the archive are given to its images. Everything is verified before anything is named.
    """
    wanted = parse_platform(platform) if platform else None
    opened = store()
    try:
        with opened.in_use(), loading(source):
            images = [_only(opened, image, wanted) if wanted else image for image in _loaded(opened, source)]
            for image in images:
                say("\n".join(_name(opened, image)))
    finally:
        opened.close()


def _loaded(opened: Store, source: Path | None) -> tuple[Loaded, ...]:
    if source is not None and source.is_dir():
        from pybuild.builder.oci.archive.files import take_entries
        from pybuild.builder.oci.archive.folder_entries import folder_entries
        from pybuild.runtime.paths.safepath import Root

        with Root.open_host(source) as root:
            return load_files(opened.blobs, take_entries(opened.blobs, folder_entries(root.fd)))
    with source.open("rb") if source else binary_stdin() as stream:
        return load(opened.blobs, stream)


def _only(opened: Store, image: Loaded, platform: Platform) -> Loaded:
    return replace(image, descriptor=read_image(opened.blobs, image.descriptor, platform).descriptor)


def _name(opened: Store, image: Loaded) -> list[str]:
    names = [name for name in map(_full, image.names) if name]
    for name in names:
        opened.layout.tag(name, image.descriptor)
    if names:
        return [f"Loaded image: {familiar(name)}" for name in names]
    opened.layout.keep(image.descriptor)
    try:
        identity = str(read_image(opened.blobs, choose_present(opened.blobs, image.descriptor)).id)
    except OciError:  # an index without any image
        identity = str(image.descriptor.digest)
    return [f"Loaded image ID: {identity}"]


def _full(text: str) -> str:
    """Return a name of the archive in full, "" for one that Docker would not take."""
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return ""
    return "" if reference.digest is not None else str(reference)
