"""The part of ``df`` about containers and volumes: how many are used, and what they take on the disk."""

from typing import NamedTuple

from pybuild.builder.cli.format.listing import Row
from pybuild.builder.containers.directory import all_containers
from pybuild.builder.containers.files import size_of, written_size
from pybuild.builder.containers.state import ALIVE
from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.display.units import human_size
from pybuild.builder.store.store import Store

CONTAINER_COLUMNS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
VOLUME_HEADERS = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}


class Living(NamedTuple):
    """Containers, or volumes: their number and that of used ones, all their bytes and those of used ones."""

    counts: tuple[int, int]
    size: int
    active: int


def containers_usage(opened: Store) -> Living:
    """Return what containers have written; those that run are used."""
    sizes = {each: written_size(opened, each) for each in all_containers(opened.root)}
    active = [size for each, size in sizes.items() if each.state.status in ALIVE]
    return Living((len(sizes), len(active)), sum(sizes.values()), sum(active))


def volumes_usage(opened: Store) -> Living:
    """Return what volumes hold; those that a container has are used."""
    volumes = Volumes(opened)
    users = volumes.users()
    sizes = {each.name: size_of(opened, volumes.data(each.name)) for each in volumes.all()}
    active = [size for name, size in sizes.items() if name in users]
    return Living((len(sizes), len(active)), sum(sizes.values()), sum(active))


def container_rows(opened: Store) -> list[Row]:
    """Return a row for each container."""
    from pybuild.builder.cli.format.containers import container_row

    return [container_row(each, whole=False, size=written_size(opened, each)) for each in all_containers(opened.root)]


def volume_rows(opened: Store) -> list[Row]:
    """Return a row for each volume."""
    volumes = Volumes(opened)
    users = volumes.users()
    return [
        {
            "Name": each.name,
            "Links": str(len(users.get(each.name, ()))),
            "Size": human_size(size_of(opened, volumes.data(each.name))),
        }
        for each in volumes.all()
    ]


def images_used(opened: Store) -> dict[str, int]:
    """Return how many containers each image has, by its id."""
    found: dict[str, int] = {}
    for each in all_containers(opened.root):
        found[each.config.image_id] = found.get(each.config.image_id, 0) + 1
    return found
