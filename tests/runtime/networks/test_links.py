from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from pybuild.runtime.networks.links import add_bridge, exists, links, ports, remove_bridge, routes, routes6
from tests.helpers.hosts import need_root
from tests.helpers.networks import own_network


def test_interfaces_of_the_namespace_of_this_thread() -> None:
    need_root()
    with own_network():
        assert [each.name for each in links()] == ["lo"]
        add_bridge("br-test")
        assert exists("br-test")
        assert ports("br-test") == ports("nosuch") == 0
        remove_bridge("br-test")
        assert not exists("br-test")
        with pytest.raises(OSError, match="No such device"):
            remove_bridge("br-test")
    assert any(each.name == "lo" for each in links())


def test_routes_without_the_default(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n",
        encoding="ascii",
    )
    assert routes(table) == [(IPv4Network("172.17.0.0/16"), "eth0")]


def test_routes_of_ipv6_are_those_that_routers_have(tmp_path: Path) -> None:
    table = tmp_path / "ipv6_route"
    none = "0" * 32

    def line(destination: str, length: str, interface: str) -> str:
        return f"{destination} {length} {none} 00 {none} 00000100 00000001 00000000 00000001 {interface:>8}\n"

    table.write_text(
        line(none, "00", "eth0")
        + line("fd000007000000000000000000000000", "40", "eth0")
        + line("fd000008000000000000000000000001", "80", "eth0")
        + line("fe800000000000000000000000000000", "40", "eth0")
        + line("ff000000000000000000000000000000", "08", "eth0")
        + line("00000000000000000000000000000001", "80", "lo"),
        encoding="ascii",
    )
    assert routes6(table) == [(IPv6Network("fd00:7::/64"), "eth0"), (IPv6Network("fd00:8::1/128"), "eth0")]
    assert routes6(tmp_path / "missing") == []
