"""``pybuild manifest rm``, ``remove`` and ``exists``: indexes of the store as podman and Docker handle them."""

from dataclasses import replace

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.manifest.entries import index_of, meant
from pybuild.builder.cli.failures import FAILED
from pybuild.builder.cli.tools import say, store
from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import familiar, find
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.prune import gc
from pybuild.builder.request.checks import full_names
from pybuild.builder.store.store import Store
from pybuild.builder.transports.entries import listed


@click.command("rm", cls=Command, short_help="Remove indexes from the store.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@root_option
def rm(names: tuple[str, ...]) -> None:
    """Remove the indexes NAME from the store; images in them that have names of their own stay."""
    opened = store()
    try:
        with opened.collecting():
            for full in full_names(names):
                _forget(opened, full)
    finally:
        opened.close()


@click.command("remove", cls=Command, short_help="Remove an image from an index.")
@click.argument("name")
@click.argument("image", metavar="PLATFORM|DIGEST|IMAGE")
@root_option
def remove(name: str, image: str) -> None:
    """Remove one image from the index NAME of the store, and print the new digest of the index."""
    (full,) = full_names((name,))
    opened = store()
    try:
        with opened.in_use():
            index = index_of(opened, find(opened, full).descriptor, name)
            digest = meant(opened, index, image)
            left = tuple(entry for entry in index.manifests if entry.digest != digest)
            if len(left) == len(index.manifests):
                raise RequestError(f"{digest} is not in the index", hint=f"it has {listed(index.manifests)}")
            changed = replace(index, manifests=left)
            written = opened.blobs.put(changed.to_json(), changed.media_type)
            opened.layout.tag(full, written)
    finally:
        opened.close()
    say(str(written.digest))


@click.command("exists", cls=Command, short_help="Report by the exit code whether the store has an index.")
@click.argument("name")
@root_option
def exists(name: str) -> int | None:
    """Exit with 0 when NAME is an index of the store, else with 1; nothing is printed."""
    opened = store()
    try:
        index_of(opened, find(opened, name).descriptor, name)
    except (ImageNotFound, RequestError):
        return FAILED
    finally:
        opened.close()
    return None


def _forget(opened: Store, full: str) -> None:
    found = find(opened, full)
    index_of(opened, found.descriptor, familiar(full))
    opened.layout.untag(full)
    say(f"Untagged: {familiar(full)}")
    if not any(listed_one.digest == found.descriptor.digest for _, listed_one in opened.layout.entries()):
        gc.drop_image(opened, found.descriptor)
        say(f"Deleted: {found.descriptor.digest}")
