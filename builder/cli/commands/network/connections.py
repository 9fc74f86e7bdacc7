"""``network connect`` and ``network disconnect``: changing the networks of a container, which may run."""

from pybuild.builder.containers.catalog import Containers, StoredContainer, locked
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.networking import joining
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.catalog import Networks
from pybuild.builder.networks.connecting import connect, disconnect
from pybuild.builder.networks.membership import is_live, read_attached, write_attached
from pybuild.builder.networks.values import BRIDGE, CONTAINER, HOST, NONE, PRIVATE, Membership
from pybuild.runtime.values import replace


def connect_to(containers: Containers, container: StoredContainer, wanted: Membership) -> None:
    """Connect *container* to the network that *wanted* names, now if it runs, and at each start.

    Raises:
        ContainerError, NetworkError, RequestError: it cannot be connected.
    """
    networks = Networks(containers.store.root)
    network = networks.find(wanted.network)
    _check(container, network.name)
    if network.name == BRIDGE and (wanted.aliases or wanted.ip or wanted.ip6):
        raise RequestError("user specified IP address and aliases are supported on user defined networks only")
    attachment = replace(wanted, network=network.id, name=network.name)
    with locked(container):
        there = read_attached(container.directory)
        if any(each.network == network.id for each in there):
            raise ContainerError(f"endpoint with name {container.name} already exists in network {network.name}")
        if is_live(container.directory) and container.state.runs:
            connect(networks, joining(container), attachment)
        write_attached(container.directory, (*there, attachment))


def disconnect_from(containers: Containers, container: StoredContainer, name: str, *, force: bool) -> None:
    """Disconnect *container* from the network *name*, now and at each start. Raises ContainerError, NetworkError."""
    networks = Networks(containers.store.root)
    network = networks.find(name)
    with locked(container):
        there = read_attached(container.directory)
        rest = tuple(each for each in there if each.network != network.id)
        if len(rest) == len(there):
            if force:
                return
            raise ContainerError(f"container {container.id} is not connected to network {network.name}")
        if is_live(container.directory) and container.state.runs:
            disconnect(networks, container.directory, network)
        write_attached(container.directory, rest)


def _check(container: StoredContainer, network: str) -> None:
    mode = container.config.host.network
    if network == HOST:
        raise ContainerError(
            "cannot connect container to host network - container must be created in host network mode"
        )
    if mode == PRIVATE:
        raise ContainerError("container on a private network cannot be connected to any other")
    if mode == HOST or mode.startswith(CONTAINER):
        raise ContainerError(
            "container sharing network namespace with another container or host cannot be connected to any other"
            " network"
        )
    if NONE in {mode, network}:
        raise ContainerError(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
