"""``pybuild commit``: an image and a changed root file system become a new image."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.build import compression as parse_compression
from pybuild.builder.cli.flags.build import source_date_epoch
from pybuild.builder.cli.flags.naming import compression_option, entry_options, name_image, platform_option
from pybuild.builder.cli.flags.silent import taken
from pybuild.builder.cli.flags.words import FILE, IMAGE
from pybuild.builder.cli.tools import binary_stdin, say, store
from pybuild.builder.containers.directory import lookup
from pybuild.builder.edit.difference import difference, unpacked_archive, with_difference
from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.errors import RequestError
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.image.catalog import find_image
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.platforms import given_platform
from pybuild.builder.progress import silent
from pybuild.builder.request.checks import full_names
from pybuild.builder.request.values import Compression
from pybuild.builder.store.inside import Tell, inside_with
from pybuild.builder.store.store import Store


@click.command("commit", cls=Command)
@click.argument("image", type=IMAGE)
@click.argument("tree", metavar="[DIR|FILE|-]", type=FILE, required=False)
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@entry_options
@click.option("-a", "--author", default="", metavar="TEXT", help="Author of the image.")
@compression_option
@click.option("--iidfile", metavar="FILE", help="Write the image ID to FILE.")
@click.option("-p", "--pause/--no-pause", default=True, help="Pause a running container during the commit (default).")
@taken("-q/--quiet")
@platform_option
@root_option
def command(
    image: str,
    tree: str | None,
    name: str | None,
    *,
    changes: tuple[str, ...],
    message: str,
    author: str,
    packed: str,
    iidfile: str | None,
    platform: str | None,
    pause: bool,
) -> None:
    """Create an image from IMAGE and one layer with the changes of a root file system, and print its ID.

    "commit CONTAINER [NAME[:TAG]]" takes the config and the files of a container, like docker commit. Otherwise IMAGE
    is an image, and the files are those of the directory DIR, or of a tar archive: FILE, or - for standard input, plain
    or compressed, as pybuild export, docker export and podman export write it. Files of IMAGE that are missing there
    are deleted. When nothing differs, no layer is added.
    """
    names = full_names((name,)) if name else ()
    wanted = given_platform(platform)
    compression = parse_compression(packed or "gzip")
    entry = _entry(message, author)
    opened = store()
    try:
        if name is None and lookup(opened, image) is not None:
            made = _of_container(image, full_names((tree,)) if tree else (), changes, entry, compression, pauses=pause)
            _tell(made, iidfile)
            return
        if tree is None:
            raise RequestError(f"No such container: {image}", hint="for an image, also name a directory or an archive")
        with opened.in_use(), _stream(tree) as stream:
            source = find_image(opened, image, wanted)
            documents = _changed(ImageDocuments.read(opened.blobs, source), source, changes)
            layer = inside_with((stream,), _layer, opened, silent, source, stream, compression)
            made = with_difference(documents, layer, entry).write(opened.blobs, source)
            name_image(opened, made.descriptor, names)
    finally:
        opened.close()
    _tell(made, iidfile)


def _tell(made: Image, iidfile: str | None) -> None:
    if iidfile:
        replace_file(Path(iidfile), str(made.id).encode())
    say(str(made.id))


def _of_container(
    name: str,
    names: tuple[str, ...],
    changes: tuple[str, ...],
    entry: dict[str, str],
    compression: Compression,
    *,
    pauses: bool,
) -> Image:
    from pybuild.builder.cli.commands.container.access.diff import committed, config_of, image_of
    from pybuild.builder.cli.commands.container.common import opened_containers
    from pybuild.builder.cli.flags.changes import changed

    with opened_containers() as containers:
        container = containers.find(name)
        config = config_of(container.config.program, image_of(containers, container).config)
        config = changed(config, changes) if changes else config
        made = committed(containers, container, config, entry, compression=compression, pauses=pauses)
        name_image(containers.store, made.descriptor, names)
    return made


def _changed(documents: ImageDocuments, source: Image, changes: tuple[str, ...]) -> ImageDocuments:
    if not changes:
        return documents
    from pybuild.builder.cli.flags.changes import changed

    return documents.with_config(source.config, changed(source.config, changes))


def _entry(message: str | None, author: str | None) -> dict[str, str]:
    epoch = source_date_epoch(os.environ)
    now = timestamp(None if epoch is None else epoch * 1_000_000_000)
    entry = {"created": now, "created_by": "pybuild commit", "author": author, "comment": message}
    return {key: value for key, value in entry.items() if value}


@contextmanager
def _stream(place: str) -> Iterator[int]:
    """Yield a directory or an archive, open."""
    if place != "-" and Path(place).is_dir():
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)
        return
    with binary_stdin() if place == "-" else Path(place).open("rb") as stream:
        yield stream.fileno()


def _layer(store: Store, _tell: Tell, source: Image, given: int, compression: Compression) -> Layer | None:
    """Return what the open directory or archive *given* changes."""
    with store.in_use():
        if stat.S_ISDIR(os.fstat(given).st_mode):
            return difference(store, source, given, compression)
        with open(given, "rb", closefd=False) as stream, unpacked_archive(store, stream) as tree:
            return difference(store, source, tree, compression)
