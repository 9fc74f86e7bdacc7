"""``pybuild inspect``: the details of containers, images, networks and volumes, as JSON in Docker's form."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import FAILED
from pybuild.builder.cli.fast_path.inspect import in_template
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.values import OneOf
from pybuild.builder.cli.format.listing import inspected
from pybuild.builder.cli.tools import say, store, warn
from pybuild.builder.image.catalog import catalog, find
from pybuild.builder.image.document import image_document
from pybuild.builder.store.store import Store

_KINDS = ("container", "image", "network", "volume")
"""In the order in which a name is looked up, as in Docker."""


@click.command("inspect", cls=Command)
@click.argument("images", nargs=-1, required=True, metavar="NAME...", type=IMAGE)
@click.option(
    "-f", "--format", "template", metavar="FORMAT", help='Print with "json" or a Go template such as "{{.Config.Env}}".'
)
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Platform to take from a multi-platform image.")
@click.option("--type", "kind", type=OneOf(_KINDS), help=f"Look for these only: {', '.join(_KINDS)}.")
@click.option("-s", "--size", is_flag=True, hidden=True)
@root_option
def command(
    images: tuple[str, ...], template: str | None, platform: str | None, *, kind: str | None, size: bool
) -> int | None:
    """Show the details of containers, images, networks and volumes as a JSON array, with the fields of docker inspect.

    A name is that of a container, if there is one, else of an image, a network, a volume. Of a multi-platform image,
    the image for this host's platform is shown, else the first one that the store has.
    """
    if size and kind is None:
        warn("--size ignored for images")
    opened = store()
    try:
        documents, problems = _documents(opened, images, platform, kind)
    finally:
        opened.close()
    for text in inspected(documents, template, in_template):
        say(text)
    for problem in problems:
        click.echo(problem, err=True, nl=False)
    return FAILED if problems else None


def _of_container(opened: Store, name: str) -> dict[str, Any]:
    from pybuild.builder.containers.catalog import Containers
    from pybuild.builder.containers.document import container_document

    return container_document(Containers(opened).find(name))


def _of_network(opened: Store, name: str) -> dict[str, Any]:
    from pybuild.builder.cli.commands.network.network import shown_network
    from pybuild.builder.containers.catalog import Containers
    from pybuild.builder.networks.catalog import Networks

    return shown_network(Containers(opened), Networks(opened.root).find(name))


def _of_volume(opened: Store, name: str) -> dict[str, Any]:
    from pybuild.builder.cli.commands.volume.volume import volume_document
    from pybuild.builder.containers.volumes import Volumes

    volumes = Volumes(opened)
    return volume_document(volumes, volumes.find(name))


def _documents(
    opened: Store, names: tuple[str, ...], platform: str | None, kind: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    from pybuild.builder.cli.failures import describe
    from pybuild.builder.errors import BuildError
    from pybuild.builder.oci.errors import OciError
    from pybuild.builder.platforms import given_platform

    wanted = given_platform(platform)
    entries = catalog(opened)

    def of_image(opened: Store, name: str) -> dict[str, Any]:
        return image_document(opened, find(opened, name), entries, wanted)

    kinds = dict(zip(_KINDS, (_of_container, of_image, _of_network, _of_volume), strict=True))
    documents, problems = [], []
    for name in names:
        try:
            documents.append(kinds[kind](opened, name) if kind else _of_any(opened, name, kinds.values()))
        except (BuildError, OciError) as error:
            problems.append(describe(error).text)
    return documents, problems


def _of_any(opened: Store, name: str, kinds: Iterable[Callable[[Store, str], dict[str, Any]]]) -> dict[str, Any]:
    """Return the document of the first of *kinds* that has the *name*. Raises ImageNotFound when none has."""
    from pybuild.builder.containers.errors import NoSuchContainer, NoSuchVolume
    from pybuild.builder.errors import RequestError
    from pybuild.builder.networks.errors import NoSuchNetwork
    from pybuild.builder.oci.errors import ImageNotFound, OtherPlatform

    for document in kinds:
        try:
            return document(opened, name)
        except OtherPlatform:
            raise
        except (NoSuchContainer, ImageNotFound, NoSuchNetwork, NoSuchVolume, RequestError):
            pass
    # Docker's message, which scripts look for.
    raise ImageNotFound(f"No such object: {name}", hint="it is no container, image, network or volume of this store")
