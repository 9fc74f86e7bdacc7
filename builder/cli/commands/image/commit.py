"""``pybuild commit``: an image and a changed root file system become a new image."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pybuild.builder.cli.flags.build import compression as parse_compression
from pybuild.builder.cli.flags.build import source_date_epoch
from pybuild.builder.cli.flags.naming import name_image, platform_option
from pybuild.builder.cli.flags.silent import taken
from pybuild.builder.cli.flags.words import FILE, IMAGE
from pybuild.builder.cli.tools import Command, binary_stdin, root_option, say, store
from pybuild.builder.edit.difference import difference, unpacked_archive, with_difference
from pybuild.builder.edit.documents import Documents
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.image.catalog import find_image
from pybuild.builder.image.names import full_names
from pybuild.builder.oci.image import Image
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.platforms import parse_platform
from pybuild.builder.store.store import Store


@click.command("commit", cls=Command, short_help="Make an image of another one and a changed root file system.")
@click.argument("image", type=IMAGE)
@click.argument("tree", metavar="FOLDER|FILE|-", type=FILE)
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@click.option(
    "-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help='Such as "CMD /bin/sh"; repeatable.'
)
@click.option("-m", "--message", default="", metavar="TEXT", help="Comment in the history.")
@click.option("-a", "--author", default="", metavar="TEXT", help="Who made it.")
@click.option("--compression", "packed", default="gzip", metavar="TYPE[,LEVEL]", help="Of the layer that is added.")
@click.option("--iidfile", metavar="FILE", help="Write the image ID to FILE.")
@taken("-p/--pause", "--no-pause", "-q/--quiet")
@platform_option
@root_option
def command(
    image: str,
    tree: str,
    name: str | None,
    *,
    changes: tuple[str, ...],
    message: str,
    author: str,
    packed: str,
    iidfile: str | None,
    platform: str | None,
) -> None:
    """Make an image of IMAGE and one layer with what a root file system changes over it, and print its ID.

    pybuild has no containers. Where docker commit takes the files of one, this takes them from FOLDER, or from the tar
    archive FILE, plain or compressed (- is standard input), such as export, docker export and podman export write. What
    is in IMAGE and not there is deleted; when nothing differs no layer is added.
    """
    names = full_names((name,)) if name else ()
    wanted = parse_platform(platform) if platform else None
    compression = parse_compression(packed or "gzip")
    entry = _entry(message, author)
    opened = store()
    try:
        with opened.in_use(), _tree(opened, tree) as root_fd:
            source = find_image(opened, image, wanted)
            documents = _changed(Documents.read(opened.blobs, source), source, changes)
            layer = difference(opened, source, root_fd, compression)
            made = with_difference(documents, layer, entry).write(opened.blobs, source)
            name_image(opened, made.descriptor, names)
    finally:
        opened.close()
    if iidfile:
        replace_file(Path(iidfile), str(made.id).encode())
    say(str(made.id))


def _changed(documents: Documents, source: Image, changes: tuple[str, ...]) -> Documents:
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
def _tree(opened: Store, place: str) -> Iterator[int]:
    if place != "-" and Path(place).is_dir():
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)
        return
    with binary_stdin() if place == "-" else Path(place).open("rb") as stream, unpacked_archive(opened, stream) as fd:
        yield fd
