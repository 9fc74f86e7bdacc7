from pathlib import Path

import pytest

from pybuild.builder.networks import shared
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.shared import call_at, check_listening, check_rootless
from pybuild.builder.networks.values import BRIDGE, IPVLAN, NetworkConfig, PublishedPort
from pybuild.runtime.shared_networks.client import NetworkEnded


def test_bridges_of_the_host_need_no_other_place(tmp_path: Path) -> None:
    assert call_at(tmp_path, "", lambda number: number + 1, 2) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_is_gone_is_said_to_have_ended(tmp_path: Path) -> None:
    with pytest.raises(NetworkEnded):
        call_at(tmp_path, "boot-1-2", pytest.fail, "called")


def test_interfaces_of_the_host_are_for_root() -> None:
    bridge, outer = (
        NetworkConfig(id=name, name=name, created="", driver=driver)
        for name, driver in (("one", BRIDGE), ("outer", IPVLAN))
    )
    check_rootless([bridge], ())
    with pytest.raises(NetworkError, match="network outer needs root: ipvlan joins an interface of the host"):
        check_rootless([bridge, outer], ())


def test_ports_of_root_are_refused_before_anything_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "may_listen", lambda port: port >= 1024)
    high, low = (PublishedPort(container_port=80, protocol="tcp", host_port=port) for port in (8080, 80))
    check_listening([high, PublishedPort(container_port=80, protocol="tcp")], "this")
    with pytest.raises(
        NetworkError, match="a network without root cannot publish a port at 80 of the host, which is for root"
    ) as caught:
        check_rootless([], [high, low])
    assert "net.ipv4.ip_unprivileged_port_start=80" in caught.value.hint
