"""``pybuild rmi``: remove names, and images that have none left."""

from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import FAILED, describe
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.image_events import log_image_event
from pybuild.builder.cli.tools import say, store
from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import Listed, catalog, familiar, find
from pybuild.builder.oci.errors import ImageNotFound, OciError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.model import Platform
from pybuild.builder.oci.stored_index import listed_manifests
from pybuild.builder.platforms import given_platform
from pybuild.builder.prune import gc
from pybuild.builder.store.container_holds import CONTAINERS
from pybuild.builder.store.store import Store


@click.command("rmi", cls=Command)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=IMAGE)
@click.option("-f", "--force", is_flag=True, help="Remove an image that is given by ID with all its names.")
@click.option("--no-prune", is_flag=True, help="Keep the blobs until the next prune.")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Remove this platform only from a multi-platform image.")
@root_option
def command(images: tuple[str, ...], *, force: bool, no_prune: bool, platform: str | None) -> int | None:
    """Remove the names IMAGE, and an image together with its last name.

    Layers of the build cache stay until "prune -a", and what a running build uses until the next prune. As in Docker,
    with -f it is no failure that an image does not exist.
    """
    wanted = given_platform(platform)
    opened = store()
    failed = False
    try:
        with opened.collecting():
            for name in images:
                try:
                    if wanted is None or not _remove_platform(opened, find(opened, name), wanted):
                        _remove(opened, name, force=force, keep_blobs=no_prune)
                except (OciError, RequestError) as error:
                    failed = failed or not (force and isinstance(error, ImageNotFound))
                    click.echo(describe(error).text, err=True, nl=False)
    finally:
        opened.close()
    return FAILED if failed else None


def _remove_platform(opened: Store, found: Listed, platform: Platform) -> bool:
    """Remove the image for *platform* from an index. False: it is the only one, so the index itself must go."""
    manifest = read_image(opened.blobs, found.descriptor, platform).descriptor
    others = [
        other
        for other in listed_manifests(opened.blobs, found.descriptor)
        if other.digest != manifest.digest and opened.blobs.exists(other.digest)
    ]
    if manifest.digest == found.descriptor.digest or not others:
        return False
    gc.drop_platform(opened, manifest)
    say(f"Deleted: {manifest.digest}")
    return True


def _refuse_used(root: Path, found: Listed, text: str, *, force: bool, last: bool) -> None:
    """Raise RequestError when a container of the store at *root* uses the image that *text* names.

    *last*: it has no other name. What a container needs stays in any case, until it is removed itself.
    """
    if not last or not (root / CONTAINERS).is_dir():
        return
    from pybuild.builder.containers.catalog import all_containers

    for container in all_containers(root):
        if container.config.image_id != found.id:
            continue
        short, runs = container.id[:12], container.state.runs
        if found.name and not force:
            raise RequestError(
                f'conflict: unable to remove repository reference "{text}" (must force) - container {short} is using'
                f" its referenced image {found.id.partition(':')[2][:12]}",
                hint=f"pybuild rm {short}, or rmi -f",
            )
        if not found.name and (runs or not force):
            how, kind = ("cannot be forced", "running") if runs else ("must be forced", "stopped")
            raise RequestError(
                f"conflict: unable to delete {text} ({how}) - image is being used by {kind} container {short}",
                hint=f"pybuild rm {short}",
            )


def _remove(opened: Store, text: str, *, force: bool, keep_blobs: bool) -> None:
    found = find(opened, text)
    same = [entry for entry in catalog(opened) if entry.descriptor.digest == found.descriptor.digest]
    names = [found.name] if found.name else [entry.name for entry in same if entry.name]
    if not found.name and len(names) > 1 and not force:
        listed = ", ".join(map(familiar, names))
        raise RequestError(
            f"conflict: unable to delete {text} (must be forced) - image is referenced in multiple repositories",
            hint=f"use -f; its names are {listed}",
        )
    _refuse_used(opened.root, found, text, force=force, last=len(same) == 1)
    for name in names:
        opened.layout.untag(name)
        say(f"Untagged: {familiar(name)}")
        log_image_event(opened, "untag", found.id)
    if len(names) >= len([entry for entry in same if entry.name]):
        _delete(opened, found, keep_blobs=keep_blobs)


def _delete(opened: Store, found: Listed, *, keep_blobs: bool) -> None:
    identity = found.id
    opened.layout.drop(found.descriptor.digest)
    if not keep_blobs:
        gc.drop_image(opened, found.descriptor)
    say(f"Deleted: {identity}")
    log_image_event(opened, "delete", identity)
