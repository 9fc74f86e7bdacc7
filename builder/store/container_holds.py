"""The data that containers keep in a store: their images, and the snapshots below their own.

    <root>/containers/<id>/holds.json

Garbage collection keeps this data. The blobs of the image belong to it, because unpacked layers may be lost in a crash
of the host and are then unpacked from the blobs again. The file is written before the container appears; until then the
lease of the command that creates it keeps the data.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pybuild.builder.errors import StoreError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.values import frozen

CONTAINERS = "containers"
_FILE = "holds.json"
_ID_LENGTH = 64


@frozen
class Hold:
    """The *image* of a container, and the name of the *snapshot* of its layers, "" for an image without layers."""

    image: Descriptor
    snapshot: str


def read_hold(directory: Path) -> Hold:
    """Return the data that the container in *directory* keeps.

    Raises:
        StoreError: the file is damaged. Nothing may be removed from the store then.
    """
    try:
        document = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        image = document["image"]
        descriptor = Descriptor(
            media_type=str(image["mediaType"]), digest=Digest.parse(image["digest"]), size=int(image["size"])
        )
        return Hold(image=descriptor, snapshot=str(document["snapshot"]))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise StoreError(f"{directory / _FILE} is damaged", hint=f"pybuild rm -f {directory.name[:12]}") from error


def write_hold(directory: Path, hold: Hold) -> None:
    """Record the data that the container in *directory* keeps."""
    image = {"mediaType": hold.image.media_type, "digest": str(hold.image.digest), "size": hold.image.size}
    # A hold that a loss of power left empty would stop every command that removes data.
    replace_file(directory / _FILE, json.dumps({"image": image, "snapshot": hold.snapshot}))


def holds(root: Path) -> Iterator[tuple[str, Hold]]:
    """Yield the id of each container of the store with the data that it keeps. Raises StoreError."""
    try:
        names = sorted(path.name for path in (root / CONTAINERS).iterdir())
    except FileNotFoundError:
        return
    for name in names:
        # Not the directory of names, nor a container that is being created or removed (`containers.catalog`).
        if len(name) == _ID_LENGTH:
            try:
                yield name, read_hold(root / CONTAINERS / name)
            except FileNotFoundError:  # it was removed meanwhile
                continue
