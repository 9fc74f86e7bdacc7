"""The networks of containers: the settings of a new container, and connecting one that starts."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.config import Config, HostConfig
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.joining import open_network
from pybuild.builder.networks.catalog import Networks
from pybuild.builder.networks.endpoints import Joining
from pybuild.builder.networks.errors import NoSuchNetwork
from pybuild.builder.networks.etc_files import host_resolv, hosts_text, resolv_text, rewrite
from pybuild.builder.networks.membership import ATTACHED, attached_text, read_attached, read_live
from pybuild.builder.networks.values import HOST, HOST_GATEWAY, NONE, PRIVATE, Endpoint, Live, Membership
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.sandbox.isolation import is_direct
from pybuild.runtime.values import replace

if TYPE_CHECKING:
    # Imported for types only: containers of root have no such network.
    from pybuild.runtime.shared_networks.client import Use


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
    # Debian's address for the name of a host, so that 127.0.0.1 has no other name than localhost.
    own = () if hostname == "localhost" else (("127.0.1.1", hostname),)
    return {
        "hostname": f"{hostname}\n",
        "hosts": hosts_text(own, _extra(around, "127.0.0.1")),
        "resolv.conf": resolv_text(None, around.networking, host_resolv()),
        ATTACHED: attached_text(attached_at_first(containers, config)),
    }


def _extra(around: HostConfig, *gateways: str) -> list[tuple[str, str]]:
    found = []
    for name, address in around.networking.hosts:
        found += [(each, name) for each in (gateways if address == HOST_GATEWAY else (address,))]
    return found


@contextmanager
def join(containers: Containers, container: StoredContainer) -> Iterator[tuple[int | None, int | None]]:
    """Set up the networks of a container that starts; yield descriptors of its network namespace and what keeps it.

    They are open during the block. The first is None for the modes that need none prepared, and for those that
    `own_network` prepares, the second when nothing has to keep it. The caller holds the lock of the container.

    Raises:
        ContainerError: the container whose network it shares does not run. Also what `connect_all` raises.
    """
    around = container.config.host
    if around.network in {HOST, NONE, PRIVATE} or (_is_bridged(container) and not is_direct()):
        yield None, None
        return
    # Imported here because a container on `host` or `none` needs nothing of it.
    from pybuild.builder.networks.connecting import connect_all
    from pybuild.builder.networks.shared import forward_ports6

    with ExitStack() as opened:
        if around.shares_with:
            space, lifeline = open_network(containers, around.shares_with), -1
            opened.callback(os.close, space)
        else:
            networks = Networks(containers.store.root)
            live, space = connect_all(networks, joining(container), read_attached(container.directory))
            opened.callback(os.close, space)
            _write_files(containers, container, live, host_resolv())
            lifeline = forward_ports6(live)
        if lifeline >= 0:
            opened.callback(os.close, lifeline)
        yield space, lifeline if lifeline >= 0 else None


def _is_bridged(container: StoredContainer) -> bool:
    """Return whether a container is connected to networks, rather than in one of the modes."""
    around = container.config.host
    return around.network not in {HOST, NONE, PRIVATE} and not around.shares_with


@contextmanager
def own_network(
    containers: Containers, container: StoredContainer, *, rootless: bool
) -> Iterator[Callable[[], tuple[int, int]]]:
    """Prepare the network of a container that starts without root, and yield a function that waits for it.

    The function returns descriptors of the network namespace and of what keeps it, which the caller owns, or (-1, -1)
    for a container that needs neither. If the block does not call it, the network ends with the block. The caller holds
    the lock of the container. With *rootless* `join` has left the bridges to this function.

    Raises:
        Exception: what `begin_private` or `connect_all` raises.
    """
    if _is_bridged(container) and rootless:
        from pybuild.builder.networks.shared import check_rootless, directory_of
        from pybuild.runtime.shared_networks.client import in_use

        networks, memberships = Networks(containers.store.root), read_attached(container.directory)
        check_rootless(
            map(networks.find, (each.network for each in memberships)), container.config.host.networking.ports
        )
        with in_use(directory_of(containers.store.root), start=True) as use, ExitStack() as unless_taken:
            # Before the block: the order of the monitor depends on what is recorded as set up.
            own = _connect(containers, container, use)
            for fd in own:
                unless_taken.callback(os.close, fd)

            def handed_over() -> tuple[int, int]:
                unless_taken.pop_all()
                return own

            yield handed_over
        return
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


def _connect(containers: Containers, container: StoredContainer, use: "Use | None") -> tuple[int, int]:
    """Connect a container to its bridges in the network *use*, and have its ports forwarded."""
    from pybuild.builder.networks.connecting import connect_all
    from pybuild.builder.networks.shared import forward_ports

    if use is None:
        raise RuntimeHostError("the network of the containers was not started")
    networks, memberships = Networks(containers.store.root), read_attached(container.directory)
    live, space = connect_all(networks, joining(container), memberships, use.holder.name)
    try:
        _write_files(containers, container, live, use.holder.resolv_conf)
        lifeline = forward_ports(use, live)
        return space, os.dup(use.users) if lifeline < 0 else lifeline
    except BaseException:
        os.close(space)
        raise


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


def _write_files(containers: Containers, container: StoredContainer, live: Live, resolv_conf: str) -> None:
    """Write the hosts and resolv.conf of a container, which depend on its addresses, and on that of its host's side."""
    around, hostname = container.config.host, container.config.program.hostname
    gateway = next((each.gateway for each in live.endpoints if each.gateway), "127.0.0.1")
    gateway6 = next((each.gateway6 for each in live.endpoints if each.gateway6), "")
    own = [(ip, hostname) for each in live.endpoints for ip in (each.ip, each.ip6) if ip]
    linked = [
        (ip, " ".join(dict.fromkeys((alias, *endpoint.aliases[1:], endpoint.aliases[0]))))
        for name, alias in around.networking.links
        for endpoint in (_linked(containers, name, live),)
        for ip in (endpoint.ip, endpoint.ip6)
        if ip
    ]
    extra = [*linked, *_extra(around, gateway, *filter(None, (gateway6,)))]
    rewrite(container.directory, "hosts", hosts_text(own, extra))
    rewrite(container.directory, "resolv.conf", resolv_text(live, around.networking, resolv_conf))


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
