"""``pybuild volume``: create, ls, inspect, rm and prune."""

from collections.abc import Callable, Container, Iterable
from typing import Any

import click

from pybuild.builder.cli.command import Command, format_option, root_option
from pybuild.builder.cli.commands.container.common import for_each, opened_containers
from pybuild.builder.cli.format.filters import by_key, has_label, passing
from pybuild.builder.cli.format.listing import LabelText, inspected, listing
from pybuild.builder.cli.format.template_functions import NO_MAP
from pybuild.builder.cli.tools import is_terminal, say
from pybuild.builder.containers.files import size_of
from pybuild.builder.containers.volumes import VolumeConfig, Volumes
from pybuild.builder.display.units import human_size
from pybuild.builder.errors import RequestError
from pybuild.builder.options import boolean

_Test = Callable[[VolumeConfig], bool]

_KEYS = ("dangling", "driver", "label", "name")

_HEADERS = {"Driver": "DRIVER", "Name": "VOLUME NAME", "Mountpoint": "MOUNTPOINT", "Scope": "SCOPE", "Labels": "LABELS"}


@click.group("volume")
def command() -> None:
    """Manage volumes: named directories that containers mount and that outlive them."""


@command.command("create", cls=Command)
@click.argument("name", required=False)
@click.option("-d", "--driver", default="local", metavar="DRIVER", help="Volume driver; only local is supported.")
@click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Set a label of the volume; repeatable.")
@click.option("-o", "--opt", "options", multiple=True, metavar="KEY=VALUE", help="type=, device= and o=; repeatable.")
@root_option
def _create(name: str | None, *, driver: str, labels: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Create the volume NAME, unless it exists, and print its name.

    Options: type=none, device=DIRECTORY and o=bind for a directory of the host; type=tmpfs, device=tmpfs and
    o=size=64m,mode=755 for a tmpfs, which each container that runs has anew. Other file systems are mounted on the host
    first.
    """
    pairs = tuple((key, value) for key, _, value in (label.partition("=") for label in labels))
    with opened_containers() as containers:
        if driver != "local":
            text = f'create {name or ""}: error looking up volume plugin {driver}: plugin "{driver}" not found'
            raise RequestError(text)
        given = tuple((key, value) for key, _, value in (option.partition("=") for option in options))
        say(Volumes(containers.store).add(name or "", pairs, given).name)


@command.command("ls", cls=Command)
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="name, label or dangling.")
@click.option("-q", "--quiet", is_flag=True, help="Show names only.")
@format_option
@root_option
def _list(*, filters: tuple[str, ...], quiet: bool, template: str | None) -> None:
    """List volumes in the order of their names."""
    with opened_containers() as containers:
        volumes = Volumes(containers.store)
        passes = _filter(filters, volumes.users())
        found = [each for each in volumes.all() if passes(each)]
        rows = [_row(volumes, each) for each in found]
    names = "\n".join(row["Name"] for row in rows)
    if text := names if quiet else listing(rows, _HEADERS, ["Driver", "Name"], template):
        say(text)


def _filter(given: Iterable[str], used: Container[str]) -> _Test:
    """Return the test for the filters *given*; *used* has the names of volumes that containers mount."""
    return passing(by_key(given, _KEYS), lambda key, value: _test(key, value, used))


def _test(key: str, value: str, used: Container[str]) -> _Test:
    match key:
        case "name":
            return lambda volume: value in volume.name
        case "dangling":
            dangling = boolean(key, value, "--filter")
            return lambda volume: (volume.name in used) is not dangling
        case "driver":
            return lambda _volume: value == "local"
        case _:
            return lambda volume: has_label(volume.labels, value)


def _row(volumes: Volumes, each: VolumeConfig) -> dict[str, str]:
    labels = LabelText(sorted(each.labels))
    place = str(volumes.data(each.name))
    return {"Driver": "local", "Name": each.name, "Mountpoint": place, "Scope": "local", "Labels": labels}


@command.command("inspect", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.option("-f", "--format", "template", metavar="FORMAT", help='Print with "json" or a Go template.')
@root_option
def _inspect(names: tuple[str, ...], *, template: str | None) -> int | None:
    """Show the details of volumes as a JSON array."""
    documents: list[dict[str, Any]] = []
    with opened_containers() as containers:
        volumes = Volumes(containers.store)
        code = for_each(names, lambda name: documents.append(volume_document(volumes, volumes.find(name))))
    for text in inspected(documents, template, _in_template):
        say(text)
    return code


def _in_template(document: dict[str, Any]) -> dict[str, Any]:
    """Return *document* as templates see it, for which a missing map is an empty one."""
    return {name: NO_MAP if value is None else value for name, value in document.items()}


def volume_document(volumes: Volumes, volume: VolumeConfig) -> dict[str, Any]:
    """Return the details of a volume with the fields of docker volume inspect."""
    return {
        "CreatedAt": volume.created,
        "Driver": "local",
        "Labels": dict(sorted(volume.labels)) or ({"com.docker.volume.anonymous": ""} if volume.anonymous else None),
        "Mountpoint": str(volumes.data(volume.name)),
        "Name": volume.name,
        "Options": dict(sorted(volume.options)) or None,
        "Scope": "local",
    }


@command.command("rm", cls=Command)
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.option("-f", "--force", is_flag=True, help="Ignore volumes that do not exist.")
@root_option
def _remove(names: tuple[str, ...], *, force: bool) -> int | None:
    """Remove volumes that no container uses, and print their names."""
    with opened_containers() as containers:
        volumes = Volumes(containers.store)

        def one(name: str) -> None:
            if not force or name in {each.name for each in volumes.all()}:
                volumes.remove([name])
            say(name)

        return for_each(names, one)


@command.command("prune", cls=Command)
@click.option("-a", "--all", "everything", is_flag=True, help="Also remove volumes with a name.")
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="label=KEY[=VALUE].")
@root_option
def _prune(*, everything: bool, force: bool, filters: tuple[str, ...]) -> None:
    """Remove the anonymous volumes that no container uses, and print their names."""
    if not force:
        kind = "all local volumes" if everything else "anonymous local volumes"
        say(f"WARNING! This will remove {kind} not used by at least one container.")
        if not is_terminal(0) or not click.confirm("Are you sure you want to continue?", default=False):
            return
    with opened_containers() as containers:
        volumes = Volumes(containers.store)
        wanted = [each for each in volumes.all() if everything or each.anonymous]
        wanted = list(filter(_filter(filters, frozenset()), wanted))
        sizes = {each.name: size_of(containers.store, volumes.data(each.name)) for each in wanted}
        gone = volumes.prune(wanted)
    if gone:
        say("\n".join(["Deleted Volumes:", *gone, ""]))
    say(f"Total reclaimed space: {human_size(sum(sizes[name] for name in gone))}")
