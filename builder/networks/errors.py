"""What can go wrong with networks; the messages are Docker's, which scripts look for."""

from pybuild.builder.errors import BuildError


class NetworkError(BuildError):
    """A network cannot be made or removed, or a container cannot be on it, as it was asked for."""


class NoSuchNetwork(NetworkError):
    """No network has this name or id."""
