"""Loading images into a Docker daemon, without the layers that it has.

`docker load` reads ``manifest.json``; for each layer it asks its store for the chain ID (the digest over all layers so
far) and opens the file of the layer only when there is none. So the archive need not have that file. This is no promise
of Docker's API, and an image can be removed meanwhile, so a refused archive is sent once more as a whole.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from pybuild.builder.errors import LoadFailed
from pybuild.builder.oci.archive.save import ArchiveContent, save
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.model import Descriptor, chain_ids
from pybuild.builder.outputs.archive import Named
from pybuild.builder.outputs.engines.address import Address
from pybuild.builder.outputs.engines.connection import Sink, get, post_archive
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

Status = Callable[[str, int, int], None]


@frozen
class Daemon:
    """A Docker daemon that has answered, or another program that serves Docker's API."""

    address: Address
    components: tuple[str, ...] = ()
    """The names of its components, as ``docker version`` prints them."""

    @property
    def name(self) -> str:
        """The name of the engine for messages."""
        return f"docker at {self.address.text}"

    def load(self, images: Sequence[Named], store: Store, status: Status) -> None:
        """Load *images* with their names. Raises LoadFailed."""
        present = _layers_present(self, [_layers(store, descriptor) for _, descriptor in images])
        try:
            _send(self.address, images, store, status, present)
        except LoadFailed:
            if not present:
                raise
            # One of the layers may have been removed meanwhile.
            _send(self.address, images, store, status, frozenset())


def connect(address: Address) -> Daemon:
    """Return the daemon that listens at *address*. Raises LoadFailed when none answers."""
    components = _objects(get(address, "/version"), "Components")
    return Daemon(address=address, components=tuple(str(each.get("Name")) for each in components))


def _send(address: Address, images: Sequence[Named], store: Store, status: Status, without: frozenset[Digest]) -> None:
    def write(sink: Sink) -> None:
        save(store.blobs, images, sink, ArchiveContent(without=without), status)

    for message in post_archive(address, "/images/load?quiet=1", write):
        if "error" in message or "errorDetail" in message:
            raise LoadFailed(f"the Docker daemon refused the image: {message.get('error') or message['errorDetail']}")


def _layers(store: Store, descriptor: Descriptor) -> dict[str, Digest]:
    """Return the digest of each layer by its chain ID."""
    image = read_image(store.blobs, descriptor)
    return dict(zip(chain_ids(image.config.diff_ids), (each.digest for each in image.manifest.layers), strict=True))


def _layers_present(daemon: Daemon, images: Sequence[dict[str, Digest]]) -> frozenset[Digest]:
    """Return the layers that the daemon has already, and so does not read from an archive of *images*."""
    wanted = {chain for layers in images for chain in layers}
    if not wanted or not _keeps_layers(daemon):
        return frozenset()
    missing = wanted - _chains(daemon.address, wanted)
    needed = {digest for layers in images for chain, digest in layers.items() if chain in missing}
    return frozenset(digest for layers in images for digest in layers.values()) - needed


def _keeps_layers(daemon: Daemon) -> bool:
    """Return whether it is Docker's own daemon with its own store, which looks up layers by their chain IDs.

    podman serves the same API with a component "Podman Engine". A daemon with containerd's store reads whole archives.
    """
    if "Engine" not in daemon.components:
        return False
    about = get(daemon.address, "/info")
    return isinstance(about, dict) and "containerd" not in str(about.get("DriverStatus"))


def _chains(address: Address, wanted: set[str]) -> set[str]:
    """Return those of the chain IDs *wanted* that images of the daemon have."""
    found: set[str] = set()
    for listed in _objects({"all": get(address, "/images/json?all=1")}, "all"):
        if found >= wanted:
            break
        found |= wanted.intersection(_chains_of(address, str(listed.get("Id"))))
    return found


def _chains_of(address: Address, name: str) -> tuple[str, ...]:
    """Return the chain IDs of an image; none for one that is gone, or has no layers."""
    try:
        layers = get(address, f"/images/{quote(name, safe=':')}/json")["RootFS"].get("Layers") or ()
        return chain_ids(tuple(Digest.parse(each) for each in layers))
    except (LoadFailed, OciError, KeyError, TypeError, AttributeError):
        return ()


def _objects(document: Any, key: str) -> list[dict[str, Any]]:
    found = document.get(key) if isinstance(document, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
