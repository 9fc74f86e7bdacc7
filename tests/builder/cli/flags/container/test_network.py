import os

import pytest

from pybuild.builder.cli.flags.container.network import NetworkFlags, checked_address, checked_alias
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.values import Membership
from pybuild.runtime.networks import programs
from pybuild.runtime.private_networks import private


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYBUILD_NETWORK", raising=False)
    monkeypatch.setattr(programs, "find", lambda name: f"/bin/{name}")


def test_a_container_is_on_the_default_network() -> None:
    flags = NetworkFlags()
    assert flags.mode() == NetworkFlags(network=("default",)).mode() == "bridge"
    assert flags.fallback() == ""
    assert flags.networking().attachments == (Membership(network="bridge"),)


def test_without_netavark_it_is_on_that_of_the_host_unless_it_needs_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda _name: None)
    assert NetworkFlags().mode() == "host"
    assert "needs netavark and aardvark-dns and iptables (apt-get install" in NetworkFlags().fallback()
    assert NetworkFlags().networking().attachments == ()
    for flags in (NetworkFlags(publish=("80",)), NetworkFlags(publish_all=True), NetworkFlags(links=("a",))):
        assert flags.mode() == "bridge"
        assert flags.fallback() == ""
    assert NetworkFlags(network=("host",)).fallback() == ""


def test_a_variable_names_another_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBUILD_NETWORK", "host")
    assert NetworkFlags().mode() == "host"
    assert NetworkFlags().fallback() == ""
    assert NetworkFlags(network=("one",)).mode() == "one"


def test_what_is_wanted_of_networks() -> None:
    flags = NetworkFlags(
        network=("one", "two"),
        aliases=("db",),
        ip="10.1.2.3",
        mac="92:D0:C6:0A:29:33",
        publish=("8080:80",),
        dns=("9.9.9.9",),
        links=("web:w", "/other"),
        expose=("90-91",),
        add_hosts=("a:host-gateway", "b:1.2.3.4"),
    )
    found = flags.networking()
    first, second = found.attachments
    assert (first.network, first.aliases, first.ip, first.mac) == ("one", ("db",), "10.1.2.3", "92:d0:c6:0a:29:33")
    assert (second.network, second.ip) == ("two", "")
    assert found.links == (("web", "w"), ("/other", "other"))
    assert flags.exposed() == ("90/tcp", "91/tcp", "80/tcp")
    assert flags.hosts() == (("a", "host-gateway"), ("b", "1.2.3.4"))


@pytest.mark.parametrize(
    "flags",
    [
        NetworkFlags(network=("container:x",), publish=("80",)),
        NetworkFlags(network=("container:x",), dns=("1.1.1.1",)),
        NetworkFlags(network=("container:x",), add_hosts=("a:1.1.1.1",)),
        NetworkFlags(network=("container:x",), links=("a",)),
        NetworkFlags(network=("host",), mac="92:d0:c6:0a:29:33"),
        NetworkFlags(network=("none",), links=("a",)),
        NetworkFlags(network=("bridge",), ip="10.1.2.3"),
        NetworkFlags(network=("bridge",), aliases=("a",)),
        NetworkFlags(network=("one", "host")),
        NetworkFlags(network=("one",), mac="x"),
        NetworkFlags(network=("one",), ip="x"),
        NetworkFlags(network=("one",), dns=("x",)),
        NetworkFlags(network=("one",), dns_search=("a b",)),
        NetworkFlags(network=("one",), links=("",)),
        NetworkFlags(network=("",)),
        NetworkFlags(network=("private",), aliases=("a",)),
        NetworkFlags(network=("private",), add_hosts=("there:host-gateway",)),
    ],
)
def test_what_a_network_cannot_have_is_refused(flags: NetworkFlags) -> None:
    with pytest.raises(RequestError):
        flags.networking()


@pytest.mark.parametrize("name", ["", "a b", "a\nffff 10.1.2.3 victim", "-a", "a,b", "x" * 256])
def test_an_alias_is_one_name(name: str) -> None:
    with pytest.raises(RequestError):
        checked_alias(name)
    assert checked_alias("web-1.x_y") == "web-1.x_y"


def test_addresses() -> None:
    assert checked_address(None, 4) == checked_address("", 6) == ""
    assert checked_address("FD00:0:0::1", 6) == "fd00::1"
    for text, version in (("10.1.2", 4), ("fd00::1", 4), ("10.1.2.3", 6), ("fd00::zz", 6), ("fe80::1%1", 6)):
        with pytest.raises(RequestError, match=f"invalid IPv{version} address: {text}"):
            checked_address(text, version)
    flags = NetworkFlags(network=("one",), ip="10.1.2.3", ip6="fd00::1")
    assert flags.networking().attachments == (Membership(network="one", ip="10.1.2.3", ip6="fd00::1"),)
    with pytest.raises(RequestError, match="supported on user defined networks only"):
        NetworkFlags(network=("bridge",), ip6="fd00::1").networking()


def test_a_private_network_publishes_ports() -> None:
    found = NetworkFlags(network=("private",), publish=("8080:80",), dns=("9.9.9.9",)).networking()
    assert [(port.host_port, port.container_port) for port in found.ports] == [(8080, 80)]
    assert (found.dns, found.attachments) == (("9.9.9.9",), ())


@pytest.mark.parametrize(
    ("missing", "flags", "mode", "said"),
    [
        ("", NetworkFlags(), "private", ""),
        ("no tun", NetworkFlags(), "host", "the container is on the host's network: no tun"),
        ("no tun", NetworkFlags(publish=("80",)), "private", ""),
        ("", NetworkFlags(network=("none",)), "none", ""),
    ],
)
def test_a_user_has_a_private_network_where_there_can_be_one(
    missing: str, flags: NetworkFlags, mode: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(private, "missing", lambda: missing)
    assert (flags.mode(), flags.fallback()) == (mode, said)
