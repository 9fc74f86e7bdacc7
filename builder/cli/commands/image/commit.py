"""``pybuild commit``: create an image from an image and a changed root file system, or from a container."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.build_values import parse_compression, source_date_epoch
from pybuild.builder.cli.flags.completion_types import FILE, IMAGE
from pybuild.builder.cli.flags.group import option, part, takes
from pybuild.builder.cli.flags.new_image import EntryFlags, compression_flag, name_image, platform_option
from pybuild.builder.cli.flags.no_op import add_no_op_flags
from pybuild.builder.cli.tools import open_stdin, say, store
from pybuild.builder.containers.catalog import lookup
from pybuild.builder.containers.errors import NoSuchContainer
from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.edit.tree_layer import store_difference, unpacked_archive, with_difference
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.image.catalog import find_image
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.platforms import given_platform
from pybuild.builder.progress import silent
from pybuild.builder.request.checks import full_names
from pybuild.builder.request.values import Compression
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, WorkerAccess
from pybuild.builder.transports.files import open_source
from pybuild.runtime.values import frozen


@frozen
class CommitFlags:
    """The new image, and whether the container is paused meanwhile."""

    entry: EntryFlags = part(EntryFlags)
    author: str = option("-a", "--author", empty=True, default="", metavar="TEXT", help="Author of the image.")
    packed: str = compression_flag()
    iidfile: str | None = option("--iidfile", metavar="FILE", help="Write the image ID to FILE.")
    pause: bool = option(
        "-p", "--pause/--no-pause", default=True, help="Pause a running container during the commit (default)."
    )

    def compression(self) -> Compression:
        """Return the compression of the new layer. Raises RequestError."""
        return parse_compression(self.packed or "gzip")

    def history_entry(self) -> dict[str, str]:
        """Return the members of the new history entry."""
        epoch = source_date_epoch(os.environ)
        now = timestamp(None if epoch is None else epoch * 1_000_000_000)
        entry = {"created": now, "created_by": "pybuild commit", "author": self.author, "comment": self.entry.message}
        return {key: value for key, value in entry.items() if value}


@click.command("commit", cls=Command)
@click.argument("image", type=IMAGE)
@click.argument("tree", metavar="[DIR|FILE|-]", type=FILE, required=False)
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@takes(CommitFlags, "flags")
@add_no_op_flags("-q/--quiet")
@platform_option
@root_option
def command(image: str, tree: str | None, name: str | None, *, flags: CommitFlags, platform: str | None) -> None:
    """Create an image from IMAGE and one layer with the changes of a root file system, and print its ID.

    "commit CONTAINER [NAME[:TAG]]" takes the config and the files of a container, like docker commit. Otherwise IMAGE
    is an image, and the files are those of the directory DIR, or of a tar archive: FILE, or - for standard input, plain
    or compressed, as pybuild export, docker export and podman export write it. Files of IMAGE that are missing there
    are deleted. When nothing differs, no layer is added.
    """
    names = full_names((name,)) if name else ()
    wanted = given_platform(platform)
    compression = flags.compression()
    opened = store()
    try:
        if name is None and lookup(opened, image) is not None:
            _tell(_of_container(image, tree, flags), flags.iidfile)
            return
        if tree is None or (name is None and not tree.startswith(("/", ".", "-")) and not Path(tree).exists()):
            hint = "for an image, also name a directory or an archive"
            raise NoSuchContainer(f"No such container: {image}", hint=hint)
        with opened.in_use(), _stream(tree) as stream:
            source = find_image(opened, image, wanted)
            documents = ImageDocuments.read(opened.blobs, source)
            documents = documents.with_config(source.config, flags.entry.change.changed(source.config))
            layer = WorkerAccess(opened, silent, (stream,)).call(_layer, source, stream, compression)
            made = with_difference(documents, layer, flags.history_entry()).write(opened.blobs, source)
            name_image(opened, made.descriptor, names)
    finally:
        opened.close()
    _tell(made, flags.iidfile)


def _tell(made: Image, iidfile: str | None) -> None:
    if iidfile:
        replace_file(Path(iidfile), str(made.id).encode())
    say(str(made.id))


def _of_container(name: str, called: str | None, flags: CommitFlags) -> Image:
    from pybuild.builder.cli.commands.container.access.diff import commit_container, config_of, image_of
    from pybuild.builder.cli.commands.container.common import opened_containers

    with opened_containers() as containers:
        container, names = containers.find(name), full_names((called,)) if called else ()
        config = config_of(container.config.program, image_of(containers, container).config)
        made = commit_container(
            containers,
            container,
            flags.entry.change.changed(config),
            flags.history_entry(),
            compression=flags.compression(),
            pauses=flags.pause,
        )
        name_image(containers.store, made.descriptor, names)
    return made


@contextmanager
def _stream(place: str) -> Iterator[int]:
    """Yield the descriptor of an open directory or archive."""
    if place != "-" and Path(place).is_dir():
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)
        return
    with open_stdin() if place == "-" else open_source(Path(place)) as stream:
        yield stream.fileno()


def _layer(store: Store, _send_event: SendEvent, source: Image, given: int, compression: Compression) -> Layer | None:
    """Return the layer with the differences of the open directory or archive *given* from the image."""
    with store.in_use():
        if stat.S_ISDIR(os.fstat(given).st_mode):
            return store_difference(store, source, given, compression)
        with open(given, "rb", closefd=False) as stream, unpacked_archive(store, stream) as tree:
            return store_difference(store, source, tree, compression)
