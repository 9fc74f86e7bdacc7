import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.containers.events import read_events
from pybuild.builder.networks.catalog import Networks
from pybuild.builder.networks.connecting import connect, connect_all, disconnect, disconnect_all
from pybuild.builder.networks.endpoints import Joining
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.membership import is_live, read_live
from pybuild.builder.networks.ports import parse_publish
from pybuild.builder.networks.values import Membership, NetworkConfig, Networking
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import mask
from pybuild.runtime.kernel.syscalls import capget, capset
from pybuild.runtime.networks import netavark
from pybuild.runtime.networks.links import links
from pybuild.runtime.networks.namespaces import inside, pinned, unpin
from tests.helpers.networks import need_netavark, own_network, seen, seen_once


@pytest.fixture
def networks(tmp_path: Path) -> Iterator[Networks]:
    need_netavark()
    with own_network():
        before = seen()
        yield Networks(tmp_path)
        assert seen_once(before) == before


def joining(networks: Networks, number: int, *published: str) -> Joining:
    identity = f"{number}" * 64
    place = networks.root / "containers" / identity
    place.mkdir(parents=True, exist_ok=True)
    ports = tuple(port for text in published for port in parse_publish(text))
    return Joining(id=identity, name=f"name{number}", directory=place, networking=Networking(ports=ports))


def made(networks: Networks, name: str) -> Membership:
    return Membership(network=networks.create(NetworkConfig(id="", created="", name=name)).id, aliases=("alias",))


def test_addresses_and_interfaces_of_two_networks(networks: Networks) -> None:
    who, attachments = joining(networks, 1, "8080:80"), (made(networks, "one"), made(networks, "two"))
    live, space = connect_all(networks, who, attachments)
    with inside(space):
        assert [each.name for each in links()] == ["lo", "eth0", "eth1"]
    os.close(space)
    assert read_live(who.directory) == live
    documents = [json.loads(each.document) for each in live.endpoints]
    assert [bool(each["port_mappings"]) for each in documents] == [True, False]
    # netavark adds the name of the container by itself; the name server answers once for each name that it is given.
    aliases = [network["aliases"] for each in documents for network in each["networks"].values()]
    assert aliases == [["alias", who.id[:12]]] * 2
    other, space = connect_all(networks, joining(networks, 2), attachments[:1])
    os.close(space)
    assert other.endpoints[0].ip != live.endpoints[0].ip
    with pytest.raises(NetworkError, match="already allocated"):
        connect_all(networks, joining(networks, 3, "8080:80"), attachments)
    assert not is_live(joining(networks, 3).directory)
    disconnect_all(networks.root, who.directory)
    disconnect_all(networks.root, who.directory)
    # The network of the other one is still there.
    assert [each.name for each in links() if each.name.startswith("pb-")] == [other.endpoints[0].bridge]
    disconnect_all(networks.root, joining(networks, 2).directory)


def test_what_could_not_be_set_up_is_taken_down(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    who, attachments = joining(networks, 1), (made(networks, "one"), made(networks, "two"))
    real, count = netavark.set_up, []

    def second_fails(connection: netavark.Connection, **_how: bool) -> object:
        count.append(connection)
        if len(count) > 1:
            raise netavark.NetworkFailure("no")
        return real(connection)

    monkeypatch.setattr(netavark, "set_up", second_fails)
    with pytest.raises(netavark.NetworkFailure):
        connect_all(networks, who, attachments)
    assert not is_live(who.directory)
    assert [each.name for each in links()] == ["lo"]


def test_a_namespace_that_is_gone_leaves_nothing(networks: Networks) -> None:
    who = joining(networks, 1, "8080:80")
    _, space = connect_all(networks, who, (made(networks, "one"),))
    os.close(space)
    unpin(who.id)
    disconnect_all(networks.root, who.directory)


def test_what_was_only_promised_is_taken_down(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    who = joining(networks, 1, "8080:80")
    monkeypatch.setattr(netavark, "set_up", lambda _connection, **_how: {})
    _, space = connect_all(networks, who, (made(networks, "one"),))
    os.close(space)
    disconnect_all(networks.root, who.directory)
    assert pinned(who.id) is None


def test_what_another_network_namespace_has_is_left_alone(networks: Networks) -> None:
    who = joining(networks, 1)
    _, space = connect_all(networks, who, (made(networks, "one"),))
    os.close(space)
    with own_network():
        disconnect_all(networks.root, who.directory)
    assert is_live(who.directory)
    disconnect_all(networks.root, who.directory)
    assert not is_live(who.directory)


def test_one_network_comes_and_goes(networks: Networks) -> None:
    who, (one, two) = joining(networks, 1, "8080:80"), (made(networks, "one"), made(networks, "two"))
    _, space = connect_all(networks, who, (one,))
    connect(networks, who, two)
    with inside(space):
        assert [each.name for each in links()] == ["lo", "eth0", "eth1"]
    disconnect(networks, who.directory, networks.find(one.network))
    with inside(space):
        assert [each.name for each in links()] == ["lo", "eth1"]
    os.close(space)
    live = read_live(who.directory)
    assert live is not None
    assert ([each.name for each in live.endpoints], live.ports) == (["two"], ())
    disconnect_all(networks.root, who.directory)


def test_a_process_without_the_right_leaves_nothing_and_says_what_it_is(networks: Networks) -> None:
    who, attached = joining(networks, 1), made(networks, "one")
    effective, permitted, inheritable = capget()
    capset(effective & ~mask("NET_ADMIN"), permitted, inheritable)
    try:
        with pytest.raises(SandboxUnavailable, match="CAP_NET_ADMIN"):
            connect_all(networks, who, (attached,))
    finally:
        capset(effective, permitted, inheritable)
    assert not is_live(who.directory)


def test_a_failure_without_the_right_to_make_an_interface_is_no_second_failure(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(what: object) -> object:
        raise PermissionError(1, "Operation not permitted", what)

    def fail(_connection: object, **_how: bool) -> object:
        raise netavark.NetworkFailure("no")

    who = joining(networks, 1)
    monkeypatch.setattr(netavark, "set_up", fail)
    monkeypatch.setattr(netavark.links, "add_bridge", refuse)
    with pytest.raises(netavark.NetworkFailure):
        connect_all(networks, who, (made(networks, "one"),))
    assert not is_live(who.directory)


def test_events_say_who_joins_and_leaves_which_network(networks: Networks) -> None:
    who, one, two = joining(networks, 1), made(networks, "one"), made(networks, "two")
    connect_all(networks, who, (one,))
    connect(networks, who, two)
    disconnect(networks, who.directory, networks.find("two"))
    disconnect_all(networks.root, who.directory)
    networks.remove(networks.find("one"))
    events = list(read_events(networks.root, 0, time.time()))
    expected = (("create", one), ("create", two), ("connect", one), ("connect", two))
    expected = (*expected, ("disconnect", two), ("disconnect", one), ("destroy", one))
    assert [(each.kind, each.action, each.identity) for each in events] == [
        ("network", action, on.network) for action, on in expected
    ]
    assert [dict(each.attributes) for each in events[1:3]] == [
        {"name": "two", "type": "bridge"},
        {"container": who.id, "name": "one", "type": "bridge"},
    ]
