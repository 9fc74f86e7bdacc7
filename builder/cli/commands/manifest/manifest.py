"""``pybuild manifest``: indexes, which list images for several platforms under one name."""

from dataclasses import replace
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.manifest.entries import annotate, pairs
from pybuild.builder.cli.commands.manifest.inspect import elsewhere, inspect
from pybuild.builder.cli.commands.manifest.lists import exists, remove, rm
from pybuild.builder.cli.flags.access import Sides, two_sides_options
from pybuild.builder.cli.flags.no_op import add_no_op_flags
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.format.transfer import Meter
from pybuild.builder.cli.tools import say, store
from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import find
from pybuild.builder.oci import media
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.oci.model import Index
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.request.checks import full_names
from pybuild.builder.store.store import Store
from pybuild.builder.transports.combine import open_index
from pybuild.builder.transports.copy import copy
from pybuild.builder.transports.places import InRegistry, InStore, Place, parse_place
from pybuild.builder.transports.source import Choice, ReadOptions
from pybuild.builder.transports.target import WriteOptions, write_to


class _Family(click.Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help for ``help`` and for no arguments, which click takes for a mistake."""
        return super().parse_args(ctx, ["--help"] if args in ([], ["help"]) else args)


@click.group("manifest", cls=_Family)
@click.option("-D", "--debug", is_flag=True, hidden=True, expose_value=False)
def command() -> None:
    """Create, change and show indexes, which list images for several platforms under one name.

    An index can be used like any other image in push, copy, save, tag and rmi.
    """


_ALL = add_no_op_flags("--all")
"""Podman's flag, a no-op: it is the default here."""


@command.command("create", cls=Command, short_help="Create an index from images.")
@click.argument("name", metavar="NAME|TARGET")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-a", "--amend", is_flag=True, help="Add to an index that exists; an image of the same platform is replaced."
)
@click.option(
    "--annotation",
    "annotations",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an annotation of the index; repeatable.",
)
@two_sides_options
@root_option
def create(name: str, images: tuple[str, ...], annotations: tuple[str, ...], *, amend: bool, sides: Sides) -> None:
    """Create the index NAME from images and print its digest.

    Each IMAGE is the name of an image in the store or in a registry, or another source that "pybuild copy" takes. An
    image that the store has is taken from there; docker://NAME is always read from its registry. An index adds all its
    images. The new index is in the store, with all its images. With a TARGET of "pybuild copy", such as docker://NAME,
    it is created there instead, and images that are in the same registry are not downloaded.
    """
    _create(name, images, annotations, amend=amend, sides=sides)


def _create(name: str, images: tuple[str, ...], annotations: tuple[str, ...], *, amend: bool, sides: Sides) -> None:
    place = parse_place(name)
    opened = store()
    try:
        with opened.in_use():
            members = [_member(opened, image) for image in images]
            sides.check(members, place)
            begun = _begun(opened, name, amend=amend) if isinstance(place, InStore) else Index(manifests=())
            if amend and not isinstance(place, InStore):
                raise RequestError("--amend changes indexes of the store only", hint="list the index as an IMAGE")
            begun = replace(begun, annotations={**begun.annotations, **pairs(annotations)})
            meter = Meter("copying", quiet=False)
            reading = _reading(opened, sides, meter)
            writing = WriteOptions(store=opened, access=sides.target, progress=meter)
            with open_index(begun, members, reading) as source:
                write_to(place, source, writing)
            meter.clear()
            say(str(source.descriptor.digest))
    finally:
        opened.close()


@click.command("add", cls=Command, short_help="Add images to an index.")
@click.argument("name")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@_ALL
@two_sides_options
@root_option
def add(name: str, images: tuple[str, ...], *, sides: Sides) -> None:
    """Add images to the index NAME of the store, like create --amend, and print its digest."""
    _create(name, images, (), amend=True, sides=sides)


@command.command("push", cls=Command, short_help="Upload an index with all its images.")
@click.argument("name")
@click.argument("target", metavar="[TARGET]", required=False)
@click.option("-p", "--purge", is_flag=True, help="Remove the name from the store afterwards.")
@_ALL
@click.option("--digestfile", type=FilePath(), metavar="FILE", help="Write the digest of the index to FILE.")
@two_sides_options
@root_option
def push(name: str, target: str | None, digestfile: Path | None, *, purge: bool, sides: Sides) -> None:
    """Upload the index NAME of the store with all its images and print its digest.

    It is uploaded to the registry that NAME begins with, or written to TARGET, which is any target of "pybuild copy".
    """
    (full,) = full_names((name,))
    place = parse_place(target or f"docker://{full}")
    opened = store()
    meter = Meter("uploading", quiet=False)
    try:
        with opened.in_use():
            reading = _reading(opened, sides, meter)
            writing = WriteOptions(store=opened, access=sides.target, progress=meter)
            pushed = copy(InStore(name=name), place, Choice(everything=True), reading, writing)
            if purge:
                opened.layout.untag(full)
    finally:
        meter.clear()
        opened.close()
    if digestfile is not None:
        replace_file(digestfile, f"{pushed.digest}\n".encode())
    say(str(pushed.digest))


def _member(opened: Store, text: str) -> Place:
    """Return where an image is: in the store, else in its registry, like Docker."""
    place = parse_place(text)
    reference = elsewhere(text) if isinstance(place, InStore) else None
    if reference is None:
        return place
    try:
        find(opened, text)
    except ImageNotFound:
        return InRegistry(reference=reference)
    return place


def _reading(opened: Store, sides: Sides, meter: Meter) -> ReadOptions:
    return ReadOptions(store=opened, access=sides.source, progress=meter)


def _begun(opened: Store, name: str, *, amend: bool) -> Index:
    """Return the index to start from. Raises RequestError when there is one and --amend is not given."""
    (full,) = full_names((name,))
    there = opened.layout.resolve(full)
    if there is None or there.media_type not in media.INDEXES:
        return Index(manifests=())
    if not amend:
        raise RequestError(f"{name} is an index already", hint="--amend adds to it, pybuild rmi removes it")
    return Index.from_json(opened.blobs.read(there), f"index {there.digest}")


for subcommand in (add, annotate, exists, inspect, remove, rm):
    command.add_command(subcommand)
