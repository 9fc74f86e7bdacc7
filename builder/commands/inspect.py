"""``pybuild inspect``: all about images, as JSON in Docker's shape."""

import json
from typing import Any

import click

from builder.commands.catalog import Listed, catalog, content_size, familiar, find
from builder.commands.failures import FAILED
from builder.commands.listing import parsed, rendered
from builder.commands.tools import Command, machine, root_option, say
from builder.machine import Machine
from builder.oci.image import Image, read_image
from builder.oci.model import Platform
from builder.oci.present import choose_present

_CONFIG_DEFAULTS: dict[str, Any] = {
    "User": "",
    "ExposedPorts": None,
    "Env": None,
    "Cmd": None,
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


@click.command("inspect", cls=Command, short_help="Show all about images, as JSON.")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-f", "--format", "template", metavar="FORMAT", help='"json", or a Go template: "{{.Config.Env}}".')
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Of an image for several platforms, which one.")
@root_option
def command(images: tuple[str, ...], template: str | None, platform: str | None) -> int | None:
    """Show all about images, as a JSON array with the members of docker inspect.

    Of an image for several platforms it is the one for this machine, else the first that the store has.
    """
    opened = machine()
    try:
        documents, problems = _documents(opened, images, platform)
    finally:
        opened.close()
    if template is None:
        say(json.dumps(documents, indent=4, ensure_ascii=False))
    for document in documents if template is not None else ():
        asked = parsed("{{json .}}" if template == "json" else str(template))
        say(rendered(asked, document))
    for problem in problems:
        click.echo(problem, err=True, nl=False)
    return FAILED if problems else None


def _documents(opened: Machine, names: tuple[str, ...], platform: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    from builder.commands.failures import describe
    from builder.oci.errors import OciError
    from builder.platforms import parse_platform

    wanted = parse_platform(platform) if platform else None
    entries = catalog(opened)
    documents, problems = [], []
    for name in names:
        try:
            documents.append(_document(opened, find(opened, name), entries, wanted))
        except OciError as error:
            problems.append(describe(error).text)
    return documents, problems


def _document(opened: Machine, found: Listed, entries: list[Listed], platform: Platform | None) -> dict[str, Any]:
    chosen = found.descriptor if platform else choose_present(opened.blobs, found.descriptor)
    image = read_image(opened.blobs, chosen, platform)
    same = [entry for entry in entries if entry.name and entry.descriptor.digest == found.descriptor.digest]
    names = [familiar(entry.name) for entry in same]
    digest = found.descriptor.digest
    repositories = dict.fromkeys(name.rpartition(":")[0] for name in names)
    return {
        "Id": str(image.id),
        "RepoTags": names,
        "RepoDigests": [f"{repository}@{digest}" for repository in repositories],
        "Parent": "",
        "Comment": image.config.history[-1].comment if image.config.history else "",
        "Created": image.config.created,
        "DockerVersion": "",
        "Author": image.config.author,
        **_shape(image),
        "Descriptor": {
            "mediaType": found.descriptor.media_type,
            "digest": str(digest),
            "size": found.descriptor.size,
        },
    }


def _shape(image: Image) -> dict[str, Any]:
    document = json.loads(image.config.to_json())
    variant = {"Variant": image.config.variant} if image.config.variant else {}
    return {
        "Config": _CONFIG_DEFAULTS | document.get("config", {}),
        "Architecture": image.config.architecture,
        **variant,
        "Os": image.config.os,
        "Size": content_size(image),
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in image.config.diff_ids]},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }
