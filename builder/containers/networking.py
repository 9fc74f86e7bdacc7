"""The networks of containers: the settings of a new container, and connecting one that starts."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pybuild.builder.containers.config import Config, HostConfig
from pybuild.builder.containers.directory import Containers, StoredContainer
from pybuild.builder.containers.errors import ContainerError, NoSuchContainer
from pybuild.builder.networks.connecting import connect_all
from pybuild.builder.networks.directory import Networks
from pybuild.builder.networks.endpoints import Joining
from pybuild.builder.networks.errors import NoSuchNetwork
from pybuild.builder.networks.etc import host_resolv, hosts_text, resolv_text, rewrite
from pybuild.builder.networks.membership import ATTACHED, attached_text, read_attached, read_live
from pybuild.builder.networks.values import HOST, HOST_GATEWAY, NONE, PRIVATE, Endpoint, Live, Membership
from pybuild.runtime.kernel.pidfd import has_ended, number_of
from pybuild.runtime.values import replace


def attached_at_first(containers: Containers, config: Config) -> tuple[Membership, ...]:
    """Return the networks of a new container, with the ids of those that exist. Others may be created later."""
    networks = Networks(containers.store.root)
    found = []
    for each in config.host.networking.attachments:
        try:
            network = networks.find(each.network)
        except NoSuchNetwork:
            found.append(each)
        else:
            found.append(replace(each, network=network.id, name=network.name))
    return tuple(found)


def files_at_first(containers: Containers, config: Config) -> dict[str, str]:
    """Return the files of a new container by name: those that are mounted in /etc, and the list of its networks."""
    hostname, around = config.program.hostname, config.host
    own = () if hostname == "localhost" else (("127.0.1.1", hostname),)
    return {
        "hostname": f"{hostname}\n",
        "hosts": hosts_text(own, _extra(around, "127.0.0.1")),
        "resolv.conf": resolv_text(None, around.networking, host_resolv()),
        ATTACHED: attached_text(attached_at_first(containers, config)),
    }


def _extra(around: HostConfig, gateway: str) -> list[tuple[str, str]]:
    return [(gateway if address == HOST_GATEWAY else address, name) for name, address in around.networking.hosts]


def join(containers: Containers, container: StoredContainer) -> int:
    """Set up the networks of a container that starts, and return a descriptor of its network namespace.

    It is -1 for the modes that need none prepared; a private network is started by `private_network`. The caller holds
    the lock of the container.

    Raises:
        ContainerError: the container whose network it shares does not run. Also what `connect_all` raises.
    """
    around = container.config.host
    if around.network in {HOST, NONE, PRIVATE}:
        return -1
    owner = around.shares_with
    if owner:
        return _network_of(containers, owner)
    live, space = connect_all(Networks(containers.store.root), joining(container), read_attached(container.directory))
    try:
        _write_files(containers, container, live)
    except BaseException:
        os.close(space)
        raise
    return space


@contextmanager
def private_network(containers: Containers, container: StoredContainer) -> Iterator[Callable[[], tuple[int, int]]]:
    """Start the private network of a container that starts, and yield a function that waits for it.

    The function returns the descriptors of `PrivateNetwork.hand_over`, or (-1, -1) for a container without such a
    network. If the block does not call it, the network ends with the block. The caller holds the lock of the container.

    Raises:
        Exception: what `begin_private` raises.
    """
    if container.config.host.network != PRIVATE:
        yield lambda: (-1, -1)
        return
    from pybuild.builder.networks.private import begin_private

    with begin_private(Networks(containers.store.root), joining(container)) as made:

        def taken() -> tuple[int, int]:
            made.wait()
            text = resolv_text(None, container.config.host.networking, made.resolv_conf.decode(errors="replace"))
            rewrite(container.directory, "resolv.conf", text)
            return made.hand_over()

        yield taken


def joining(container: StoredContainer) -> Joining:
    """Return what `builder.networks` needs to know of *container*."""
    config = container.config
    return Joining(
        id=config.id,
        name=container.name,
        directory=container.directory,
        exposed=config.program.exposed_ports,
        networking=config.host.networking,
    )


def _network_of(containers: Containers, identity: str) -> int:
    try:
        owner = containers.find(identity)
    except NoSuchContainer as error:
        raise ContainerError(f"No such container: {identity}", hint="it was to share its network") from error
    process = owner.state.open_process() if owner.state.runs else None
    if process is None:
        raise ContainerError(f"cannot join network of a non running container: {owner.id}")
    try:
        space = os.open(f"/proc/{number_of(process)}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        # A process that has not ended by now had this number when its namespace was opened.
        if not has_ended(process):
            return space
        os.close(space)
    except FileNotFoundError:
        pass
    finally:
        os.close(process)
    raise ContainerError(f"cannot join network of a non running container: {owner.id}")


def _write_files(containers: Containers, container: StoredContainer, live: Live) -> None:
    """Write the hosts and resolv.conf of a container, which depend on its addresses."""
    around, hostname = container.config.host, container.config.program.hostname
    gateway = next((each.gateway for each in live.endpoints if each.gateway), "127.0.0.1")
    own = [(each.ip, hostname) for each in live.endpoints]
    linked = [
        (endpoint.ip, " ".join(dict.fromkeys((alias, *endpoint.aliases[1:], endpoint.aliases[0]))))
        for name, alias in around.networking.links
        for endpoint in (_linked(containers, name, live),)
    ]
    extra = [*linked, *_extra(around, gateway)]
    rewrite(container.directory, "hosts", hosts_text(own, extra))
    rewrite(container.directory, "resolv.conf", resolv_text(live, around.networking, host_resolv()))


def _linked(containers: Containers, name: str, live: Live) -> Endpoint:
    """Return the endpoint of the container of a ``--link`` in a network that both are on. Raises ContainerError."""
    other = containers.find(name)
    theirs = read_live(other.directory) if other.state.runs else None
    if theirs is None:
        raise ContainerError(
            f"Cannot link to a non running container: /{other.name}", hint=f"pybuild start {other.name}"
        )
    shared = {each.network for each in live.endpoints}
    for endpoint in theirs.endpoints:
        if endpoint.network in shared:
            return endpoint
    raise ContainerError(f"Cannot link to /{other.name}, as it does not belong to the same network")
