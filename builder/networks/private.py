"""``--network private`` of a container: its published ports are chosen, and pasta is started."""

from pybuild.builder.networks.catalog import Networks
from pybuild.builder.networks.endpoints import Allocation, Joining
from pybuild.builder.networks.membership import all_live, write_live
from pybuild.builder.networks.shared import check_listening
from pybuild.builder.networks.values import Live, PublishedPort
from pybuild.runtime.kernel.pidfd import boot_id
from pybuild.runtime.networks import namespaces
from pybuild.runtime.private_networks.private import PrivateNetwork, begin
from pybuild.runtime.private_networks.programs import Forward


def begin_private(networks: Networks, joining: Joining) -> PrivateNetwork:
    """Record the ports of a container that starts, and start its private network. The caller holds its lock.

    Raises:
        NetworkError: a port cannot be published.
        SandboxUnavailable: this host has no program for such a network.
    """
    ports = _reserved(networks, joining)
    return begin(
        [
            Forward(protocol=each.protocol, host_ip=each.host_ip, host_port=each.host_port, port=each.container_port)
            for each in ports
        ]
    )


def _reserved(networks: Networks, joining: Joining) -> tuple[PublishedPort, ...]:
    wanted = joining.networking
    if not wanted.ports and not wanted.publish_all:
        return ()
    check_listening(wanted.ports, "a private network")
    with networks.locked():
        ports = Allocation(joining, all_live(networks.root)).ports()
        if ports:
            here = namespaces.own_name()
            live = Live(boot=boot_id(), space=here, container=joining.id, ports=ports, private=True)
            write_live(joining.directory, live)
    return ports
