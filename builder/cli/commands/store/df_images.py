"""The part of ``df -v`` about images: the unique size of each, and the size that it shares with others."""

from collections import Counter

from pybuild.builder.cli.commands.image.images import image_row
from pybuild.builder.cli.commands.store.df_containers import images_used
from pybuild.builder.cli.format.listing import Row
from pybuild.builder.display.units import human_size
from pybuild.builder.image.catalog import catalog
from pybuild.builder.oci.stored_index import present_sizes
from pybuild.builder.store.store import Store

HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}


def image_usage(opened: Store) -> list[Row]:
    """Return a row for each name of an image, and for each image without one."""
    entries = catalog(opened)
    sizes = {entry.descriptor.digest: present_sizes(opened.blobs, entry.descriptor) for entry in entries}
    users = Counter(digest for blobs in sizes.values() for digest in blobs)
    used = images_used(opened)
    rows: list[Row] = []
    for entry in entries:
        blobs = sizes[entry.descriptor.digest]
        shared = sum(size for digest, size in blobs.items() if users[digest] > 1)
        total = sum(blobs.values())
        rows.append(
            {
                **image_row(entry, total, whole=False),
                "SharedSize": human_size(shared),
                "UniqueSize": human_size(total - shared),
                "Containers": str(used.get(entry.id, 0)),
            }
        )
    return rows
