"""``pybuild inspect``: the details of images, as JSON in Docker's form."""

from typing import Any

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import FAILED
from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.format.listing import inspected
from pybuild.builder.cli.format.template_functions import NO_LIST, NO_MAP, NO_POINTER, Loose, Typed
from pybuild.builder.cli.tools import say, store, warn
from pybuild.builder.image.catalog import catalog, find
from pybuild.builder.image.document import image_document
from pybuild.builder.oci.image_config import CONFIG_MEMBERS
from pybuild.builder.store.holds import CONTAINERS
from pybuild.builder.store.store import Store

_MAPS = tuple(name for name, kind in CONFIG_MEMBERS.items() if kind == "map")
_ZEROS = {"text": "", "list": NO_LIST, "map": NO_MAP, "flag": False, "pointer": NO_POINTER}
_IN_TEMPLATES = {name: _ZEROS[kind] for name, kind in CONFIG_MEMBERS.items()}
"""The values that templates see for fields that are null or missing."""


@click.command("inspect", cls=Command)
@click.argument("images", nargs=-1, required=True, metavar="NAME...", type=IMAGE)
@click.option(
    "-f", "--format", "template", metavar="FORMAT", help='Print with "json" or a Go template such as "{{.Config.Env}}".'
)
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Platform to take from a multi-platform image.")
@click.option("--type", "kind", type=click.Choice(["image", "container"]), help="Look for these only.")
@click.option("-s", "--size", is_flag=True, hidden=True)
@root_option
def command(
    images: tuple[str, ...], template: str | None, platform: str | None, *, kind: str | None, size: bool
) -> int | None:
    """Show the details of containers and images as a JSON array, with the fields of docker inspect.

    A name is that of a container, if there is one, else of an image. Of a multi-platform image, the image for this
    host's platform is shown, else the first one that the store has.
    """
    if size and kind is None:
        warn("--size ignored for images")
    opened = store()
    try:
        documents, problems = _documents(opened, images, platform, kind)
    finally:
        opened.close()
    for text in inspected(documents, template, _in_template):
        say(text)
    for problem in problems:
        click.echo(problem, err=True, nl=False)
    return FAILED if problems else None


def _of_container(opened: Store, name: str, kind: str | None) -> dict[str, Any] | None:
    """Return the document of a container; None when there is none, and an image is meant."""
    if kind == "image" or (kind is None and not (opened.root / CONTAINERS).is_dir()):
        return None
    from pybuild.builder.containers.directory import Containers
    from pybuild.builder.containers.document import container_document
    from pybuild.builder.containers.errors import NoSuchContainer

    try:
        return container_document(Containers(opened).find(name))
    except NoSuchContainer:
        if kind is None:
            return None
        raise


def _in_template(document: dict[str, Any]) -> Typed:
    config = document["Config"]
    loose = {name: Loose(config[name]) for name in _MAPS if config.get(name) is not None}
    state = {"State": Typed(document["State"], {"Health": NO_POINTER})} if "State" in document else {}
    return Typed(
        {**document, **state, "Config": Typed({**config, **loose}, _IN_TEMPLATES)}, {"Variant": "", "OsVersion": ""}
    )


def _documents(
    opened: Store, names: tuple[str, ...], platform: str | None, kind: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    from pybuild.builder.cli.failures import describe
    from pybuild.builder.containers.errors import ContainerError
    from pybuild.builder.oci.errors import OciError
    from pybuild.builder.platforms import given_platform

    wanted = given_platform(platform)
    entries = catalog(opened)
    documents, problems = [], []
    for name in names:
        try:
            documents.append(
                _of_container(opened, name, kind) or image_document(opened, find(opened, name), entries, wanted)
            )
        except (ContainerError, OciError) as error:
            problems.append(describe(error).text)
    return documents, problems
