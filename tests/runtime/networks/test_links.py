from ipaddress import IPv4Network
from pathlib import Path

import pytest

from pybuild.runtime.networks.links import add_bridge, exists, links, ports, remove_bridge, routes
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
