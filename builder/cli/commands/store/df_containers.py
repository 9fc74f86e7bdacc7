"""The part of ``df`` about containers and volumes: how many there are and are in use, and their disk usage."""

from typing import NamedTuple

from pybuild.builder.cli.format.listing import Row
from pybuild.builder.containers.catalog import StoredContainer, all_containers
from pybuild.builder.containers.files import size_of, written_size
from pybuild.builder.containers.state import ALIVE
from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.display.units import human_size
from pybuild.builder.store.store import Store

CONTAINER_COLUMNS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
VOLUME_HEADERS = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}


class MeasuredContainer(NamedTuple):
    """A container, and the disk usage of what it wrote, in bytes."""

    container: StoredContainer
    size: int

    @property
    def is_active(self) -> bool:
        """Whether it runs."""
        return self.container.state.status in ALIVE

    def row(self) -> Row:
        """Return its row in the table of containers."""
        from pybuild.builder.cli.format.containers import container_row

        return container_row(self.container, self.container.state, whole=False, size=self.size)


class MeasuredVolume(NamedTuple):
    """A volume, the number of containers that use it, and its disk usage in bytes."""

    name: str
    links: int
    size: int

    @property
    def is_active(self) -> bool:
        """Whether a container uses it."""
        return self.links > 0

    def row(self) -> Row:
        """Return its row in the table of volumes."""
        return {"Name": self.name, "Links": str(self.links), "Size": human_size(self.size)}


def measured_containers(opened: Store) -> list[MeasuredContainer]:
    """Return all containers. Measuring reads their whole trees."""
    return [MeasuredContainer(each, written_size(opened, each)) for each in all_containers(opened.root)]


def measured_volumes(opened: Store) -> list[MeasuredVolume]:
    """Return all volumes. Measuring reads their whole trees."""
    volumes = Volumes(opened)
    users = volumes.users()
    return [
        MeasuredVolume(each.name, len(users.get(each.name, ())), size_of(opened, volumes.data(each.name)))
        for each in volumes.all()
    ]


def images_used(opened: Store) -> dict[str, int]:
    """Return how many containers each image has, by its id."""
    found: dict[str, int] = {}
    for each in all_containers(opened.root):
        found[each.config.image_id] = found.get(each.config.image_id, 0) + 1
    return found
