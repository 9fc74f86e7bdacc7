"""Which engine an image is loaded into: see the table of the README."""

import os
from collections.abc import Sequence

from pybuild.builder.errors import LoadFailed
from pybuild.builder.outputs.archive import Named
from pybuild.builder.outputs.engines import docker, podman
from pybuild.builder.outputs.engines.address import DEFAULT, Address, chosen_address
from pybuild.builder.store.store import Store


def engine(context: str) -> Address | str:
    """Return the address of the daemon, or the program podman. Raises LoadFailed when there is neither."""
    chosen = chosen_address(context, os.environ)
    try:
        docker.answers(chosen or DEFAULT)
    except LoadFailed as error:
        found = podman.podman() if chosen is None else None
        if found is None:
            also = ", and podman is not installed" if chosen is None else ""
            raise LoadFailed(f"cannot load the image: {error}{also}", hint=error.hint) from error
        return found
    return chosen or DEFAULT


def load(context: str, images: Sequence[Named], store: Store, status: docker.Status) -> None:
    """Load *images* with their names into the engine. Raises LoadFailed."""
    found = engine(context)
    if isinstance(found, Address):
        docker.load(found, images, store, status)
        status(f"loading to docker at {found.text}", 0, 0)
    else:
        podman.load(found, images, store, status)
        status("loading to podman", 0, 0)
