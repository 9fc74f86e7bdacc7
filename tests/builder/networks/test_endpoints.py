"""The addresses and ports that a container gets, and the input of netavark."""

import json
from pathlib import Path

import pytest

from pybuild.builder.networks.endpoints import Allocation, Joining
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.values import Endpoint, Live, Membership, NetworkConfig, Networking, PublishedPort
from pybuild.runtime.networks import namespaces
from pybuild.runtime.values import replace

_NETWORK = NetworkConfig(id="9" * 64, name="mine", created="", subnet="10.200.1.0/29", gateway="10.200.1.1")
_ON_IT = Membership(network=_NETWORK.id, aliases=("alias", "web"))


_SETTINGS = Networking()


def joining(*, networking: Networking = _SETTINGS, exposed: tuple[str, ...] = ()) -> Joining:
    return Joining(id="1" * 64, name="web", directory=Path("/"), exposed=exposed, networking=networking)


def other(*addresses: str, ports: tuple[PublishedPort, ...] = (), space: str = "") -> Live:
    endpoints = tuple(
        Endpoint(id="", network=_NETWORK.id, name="mine", interface="eth0", ip=address) for address in addresses
    )
    space = space or namespaces.own_name()
    return Live(boot="", space=space, container="2" * 64, endpoints=endpoints, ports=ports)


def test_the_first_address_that_nobody_has_is_chosen() -> None:
    found = Allocation(joining(), [other("10.200.1.2", "10.200.1.3")]).endpoint(_NETWORK, _ON_IT, "eth0")
    assert (found.ip, found.prefix, found.gateway) == ("10.200.1.4", 29, "10.200.1.1")


def test_a_full_network_and_an_address_that_is_taken_are_errors() -> None:
    everything = other(*(f"10.200.1.{last}" for last in range(2, 7)))
    with pytest.raises(NetworkError, match="no available IPv4 addresses"):
        Allocation(joining(), [everything]).endpoint(_NETWORK, _ON_IT, "eth0")
    with pytest.raises(NetworkError, match="Address already in use"):
        Allocation(joining(), [other("10.200.1.5")]).endpoint(
            _NETWORK, Membership(network=_NETWORK.id, ip="10.200.1.5"), "eth0"
        )


def test_what_a_container_had_before_does_not_count_against_it() -> None:
    before = Live(boot="", space="", container="1" * 64, endpoints=other("10.200.1.2").endpoints, ports=other().ports)
    assert Allocation(joining(), [before]).endpoint(_NETWORK, _ON_IT, "eth0").ip == "10.200.1.2"


def test_the_same_address_has_the_same_mac_address() -> None:
    found = Allocation(joining(), []).endpoint(_NETWORK, _ON_IT, "eth0")
    assert (found.ip, found.mac) == ("10.200.1.2", "02:42:0a:c8:01:02")
    own = Membership(network=_NETWORK.id, mac="02:00:00:00:00:01")
    assert Allocation(joining(), []).endpoint(_NETWORK, own, "eth0").mac == "02:00:00:00:00:01"


def test_a_name_is_listed_once_and_netavark_gets_it_from_the_container() -> None:
    found = Allocation(joining(), []).endpoint(_NETWORK, _ON_IT, "eth0")
    document = json.loads(found.document)
    assert found.aliases == ("web", "alias", "1" * 12)
    assert document["networks"][_NETWORK.id]["aliases"] == ["alias", "1" * 12]
    assert document["container_name"] == "web"
    assert document["network_info"][_NETWORK.id]["name"] == _NETWORK.id, "names of users stay out of rules"


def test_an_endpoint_has_an_address_of_each_version() -> None:
    network = replace(_NETWORK, subnet6="fd00:7::/64", gateway6="fd00:7::1", ip_range6="fd00:7::2/127")
    taken = replace(other("10.200.1.2"), endpoints=(replace(other("10.200.1.2").endpoints[0], ip6="fd00:7::2"),))
    found = Allocation(joining(), [taken]).endpoint(network, _ON_IT, "eth0")
    assert (found.ip, found.ip6, found.prefix6, found.gateway6) == ("10.200.1.3", "fd00:7::3", 64, "fd00:7::1")
    document = json.loads(found.document)
    assert document["networks"][network.id]["static_ips"] == ["10.200.1.3", "fd00:7::3"]
    info = document["network_info"][network.id]
    assert (info["ipv6_enabled"], [each["subnet"] for each in info["subnets"]]) == (
        True,
        ["10.200.1.0/29", "fd00:7::/64"],
    )
    fixed = Allocation(joining(), [taken]).endpoint(network, replace(_ON_IT, ip6="fd00:7::99"), "eth0")
    assert fixed.ip6 == "fd00:7::99"
    with pytest.raises(NetworkError, match="no configured subnet contains IP address fd00:7::99"):
        Allocation(joining(), []).endpoint(_NETWORK, replace(_ON_IT, ip6="fd00:7::99"), "eth0")
    internal = Allocation(joining(), []).endpoint(replace(network, internal=True), _ON_IT, "eth0")
    assert (internal.ip6, internal.gateway6) == ("fd00:7::2", "")


def test_an_internal_network_has_no_gateway_and_is_closed() -> None:
    internal = NetworkConfig(
        id="9" * 64, name="mine", created="", subnet="10.200.1.0/29", gateway="10.200.1.1", internal=True
    )
    found = Allocation(joining(), []).endpoint(internal, _ON_IT, "eth0")
    assert (found.gateway, found.closed) == ("", True)
    assert json.loads(found.document)["network_info"][internal.id]["internal"] is True


def test_options_of_the_driver_are_passed_and_the_parent_is_the_interface() -> None:
    options = (("parent", "lo"), ("macvlan_mode", "bridge"), ("mtu", "1400"))
    network = NetworkConfig(
        id="9" * 64, name="m", created="", driver="macvlan", subnet="10.200.1.0/29", gateway="", options=options
    )
    info = json.loads(Allocation(joining(), []).endpoint(network, _ON_IT, "eth0").document)["network_info"]
    assert info[network.id]["options"] == {"mode": "bridge", "mtu": "1400"}
    assert info[network.id]["network_interface"] == "lo"


def test_all_exposed_ports_are_published_once() -> None:
    wanted = Networking(ports=(PublishedPort(container_port=80, host_port=0),), publish_all=True)
    found = Allocation(joining(networking=wanted, exposed=("80/tcp", "90-91/udp")), []).ports()
    assert [each.name for each in found] == ["80/tcp", "90/udp", "91/udp"]
    assert all(each.host_port for each in found)


def test_a_port_of_another_container_is_in_use_in_the_same_namespace_only() -> None:
    free = Allocation(joining(networking=Networking(ports=(PublishedPort(container_port=80),))), []).ports()[0]
    wanted = Networking(ports=(PublishedPort(container_port=80, host_port=free.host_port, host_last=free.host_port),))
    with pytest.raises(NetworkError, match="port is already allocated"):
        Allocation(joining(networking=wanted), [other(ports=(free,))]).ports()
    elsewhere = other(ports=(free,), space="another")
    assert Allocation(joining(networking=wanted), [elsewhere]).ports()[0].host_port == free.host_port
