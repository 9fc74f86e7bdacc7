"""The private network of a container: the ports of the host that lead into it, and the program that carries it."""

from pybuild.builder.networks.directory import Networks
from pybuild.builder.networks.endpoints import Allocation, Joining
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.membership import all_live, write_live
from pybuild.builder.networks.values import Live, PublishedPort
from pybuild.runtime.monitor.state import boot_id
from pybuild.runtime.networks import namespaces
from pybuild.runtime.private_networks.private import PrivateNetwork, begin, may_listen
from pybuild.runtime.private_networks.programs import Forward


def begin_private(networks: Networks, joining: Joining) -> PrivateNetwork:
    """Begin the network of a container that starts; its ports are written down. The caller holds its lock.

    Raises NetworkError for a port that it cannot have, and SandboxUnavailable.
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
    for each in wanted.ports:
        if each.host_port and not may_listen(each.host_port):
            raise NetworkError(
                f"a private network cannot publish a port at {each.host_port} of the host, which is for root",
                hint=f"take a higher one, or as root: sysctl net.ipv4.ip_unprivileged_port_start={each.host_port}",
            )
    with networks.locked():
        ports = Allocation(joining, all_live(networks.root)).ports()
        if ports:
            here = namespaces.own_name()
            live = Live(boot=boot_id(), space=here, container=joining.id, ports=ports, private=True)
            write_live(joining.directory, live)
    return ports
