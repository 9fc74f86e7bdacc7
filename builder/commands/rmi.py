"""``pybuild rmi``: take names away, and images that have none left."""

import click

from builder import gc
from builder.commands.catalog import Listed, catalog, familiar, find
from builder.commands.failures import FAILED, describe
from builder.commands.tools import Command, machine, root_option, say
from builder.errors import RequestError
from builder.machine import Machine
from builder.oci.errors import OciError


@click.command("rmi", cls=Command, short_help="Remove images.")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-f", "--force", is_flag=True, help="Remove an image given by ID with all its names.")
@click.option("--no-prune", is_flag=True, help="Keep the blobs until the next prune.")
@root_option
def command(images: tuple[str, ...], *, force: bool, no_prune: bool) -> int | None:
    """Remove names and, with its last name, an image; layers that the build cache knows stay until "prune -a".

    Waits for builds that use the store.
    """
    opened = machine()
    failed = False
    try:
        with opened.collecting():
            for name in images:
                try:
                    _remove(opened, name, force=force, keep_blobs=no_prune)
                except (OciError, RequestError) as error:
                    failed = True
                    click.echo(describe(error).text, err=True, nl=False)
    finally:
        opened.close()
    return FAILED if failed else None


def _remove(opened: Machine, text: str, *, force: bool, keep_blobs: bool) -> None:
    found = find(opened, text)
    same = [entry for entry in catalog(opened) if entry.descriptor.digest == found.descriptor.digest]
    names = [found.name] if found.name else [entry.name for entry in same if entry.name]
    if not found.name and len(names) > 1 and not force:
        listed = ", ".join(map(familiar, names))
        raise RequestError(f"unable to delete {text}: the image has several names: {listed}", hint="use -f")
    for name in names:
        opened.layout.untag(name)
        say(f"Untagged: {familiar(name)}")
    if len(names) >= len([entry for entry in same if entry.name]):
        _delete(opened, found, keep_blobs=keep_blobs)


def _delete(opened: Machine, found: Listed, *, keep_blobs: bool) -> None:
    identity = found.id
    opened.layout.drop(found.descriptor.digest)
    if not keep_blobs:
        gc.drop_image(opened, found.descriptor)
    say(f"Deleted: {identity}")
