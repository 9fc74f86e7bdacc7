"""What containers hold of a store: their images, and the snapshots that their own snapshots stand on.

    <root>/containers/<id>/holds.json

A container needs the blobs of its image for as long as it is there, since the unpacked layers are made again from them
after a reboot. It is written before the container appears, so whoever collects garbage finds it or its claims.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pybuild.builder.errors import StoreError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.runtime.values import frozen

CONTAINERS = "containers"
_FILE = "holds.json"
_ID_LENGTH = 64


@frozen
class Hold:
    """The *image* of a container, and the name of the *snapshot* of its layers, "" for an image without any."""

    image: Descriptor
    snapshot: str


def read_hold(directory: Path) -> Hold:
    """Return what the container in *directory* holds.

    Raises:
        StoreError: it is unknown; nothing may be removed then.
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
    """Write down what the container in *directory* holds."""
    image = {"mediaType": hold.image.media_type, "digest": str(hold.image.digest), "size": hold.image.size}
    new = directory / f"{_FILE}.new"
    new.write_text(json.dumps({"image": image, "snapshot": hold.snapshot}), encoding="utf-8")
    new.rename(directory / _FILE)


def holds(root: Path) -> Iterator[tuple[str, Hold]]:
    """Yield the id of each container of the store with what it holds. Raises StoreError."""
    try:
        names = sorted(path.name for path in (root / CONTAINERS).iterdir())
    except FileNotFoundError:
        return
    for name in names:
        if len(name) == _ID_LENGTH:
            try:
                yield name, read_hold(root / CONTAINERS / name)
            except FileNotFoundError:  # it was removed meanwhile
                continue
