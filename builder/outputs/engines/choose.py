"""The container engine that an image is loaded into; the README of this package has a table."""

import os

from pybuild.builder.errors import LoadFailed
from pybuild.builder.outputs.engines.address import DEFAULT, chosen_address
from pybuild.builder.outputs.engines.docker import Daemon, connect
from pybuild.builder.outputs.engines.podman import Podman, find_podman


def find_engine(context: str) -> Daemon | Podman:
    """Return the engine that *context*, the environment or Docker's configuration names, else one that is there.

    Raises:
        LoadFailed: the daemon does not answer; where none was named, podman is not installed either.
        RequestError: there is no such context, or no daemon can be reached in the way that it says.
    """
    named = chosen_address(context, os.environ)
    try:
        return connect(named or DEFAULT)
    except LoadFailed as error:
        podman = find_podman() if named is None else None
        if podman is None:
            also = ", and podman is not installed" if named is None else ""
            raise LoadFailed(f"cannot load the image: {error}{also}", hint=error.hint) from error
        return podman
