import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from pybuild.runtime.networks.namespaces import locked, networks_directory, pin_new, unpin
from pybuild.runtime.networks.netavark import Connection, NetworkFailure, is_up, set_up, take_down, tidy
from pybuild.runtime.values import replace
from tests.helpers.networks import need_netavark, own_network, seen, seen_once

if TYPE_CHECKING:
    from pathlib import Path

NAME = "f" * 64


def connection(subnet: str = "10.99.1.0/24") -> Connection:
    document = {
        "container_id": NAME,
        "container_name": "name",
        "port_mappings": [{"container_port": 80, "host_ip": "", "host_port": 8080, "protocol": "tcp", "range": 1}],
        "networks": {"n": {"static_ips": ["10.99.1.2"], "interface_name": "eth0", "aliases": ["a"]}},
        "network_info": {
            "n": {
                "name": "n",
                "id": "n",
                "driver": "bridge",
                "network_interface": "pb-test",
                "subnets": [{"subnet": subnet, "gateway": "10.99.1.1"}],
                "ipv6_enabled": False,
                "internal": False,
                "dns_enabled": True,
                "options": {},
                "ipam_options": {"driver": "host-local"},
            }
        },
    }
    return Connection(pin=NAME, document=document, interfaces=("eth0",), bridges=(("pb-test", 0),))


def test_what_is_set_up_is_taken_down_as_often_as_one_likes() -> None:
    need_netavark()
    with own_network(), locked():
        before = seen()
        os.close(pin_new(NAME))
        assert set_up(connection())["n"]["interfaces"]["eth0"]
        assert seen().processes
        take_down(connection())
        unpin(NAME)
        tidy()
        assert seen_once(before) == before
        take_down(connection())
        unpin(NAME)
        tidy()
        assert seen_once(before) == before


def test_a_bridge_is_up_between_a_whole_set_up_and_the_take_down_of_the_last() -> None:
    need_netavark()
    with own_network(), locked():
        assert not is_up(connection())
        os.close(pin_new(NAME))
        with pytest.raises(NetworkFailure):
            set_up(connection(subnet="nonsense"))
        assert not is_up(connection())
        set_up(connection())
        assert is_up(connection())
        assert not is_up(replace(connection(), published=("pb-test",)))
        assert not is_up(replace(connection(), bridges=()))
        assert not is_up(replace(connection(), bridges=(("pb-test", 0), ("pb-other", 0))))
        server = networks_directory() / "dns" / "aardvark-dns" / "aardvark.pid"
        number = server.read_text(encoding="ascii")
        server.write_text("1", encoding="ascii")
        assert not is_up(connection())
        server.write_text(number, encoding="ascii")
        take_down(replace(connection(), bridges=(("pb-test", 1),)))
        assert is_up(connection())
        take_down(connection())
        assert not is_up(connection())
        unpin(NAME)
        tidy()


def test_namespaces_are_connected_at_the_same_time_to_a_bridge_that_is_up() -> None:
    need_netavark()
    with own_network():
        before = seen()
        with locked():
            os.close(pin_new(NAME))
            set_up(connection())
        others = {number: one_more(number) for number in range(3, 7)}
        together = Barrier(len(others), timeout=60)

        def connect(number: int) -> str:
            with locked(beside_others=True):
                together.wait()
                os.close(pin_new(others[number].pin))
                printed = set_up(others[number], beside_others=True)["n"]
            return str(printed["interfaces"]["eth0"]["subnets"][0]["ipnet"])

        with ThreadPoolExecutor() as threads:
            assert list(threads.map(connect, others)) == [f"10.99.1.{number}/24" for number in others]
        names = (networks_directory() / "dns" / "aardvark-dns" / "n").read_text(encoding="ascii")
        assert all(f"10.99.1.{number} " in names for number in (2, *others))
        with locked():
            for left, each in enumerate((*others.values(), connection())):
                take_down(replace(each, bridges=(("pb-test", len(others) - left),)))
                unpin(each.pin)
            tidy()
        assert seen_once(before) == before


def one_more(number: int) -> Connection:
    """Return the connection of another namespace to the same network, which publishes no ports."""
    first = connection()
    document = {**first.document, "container_id": f"{number:064}", "port_mappings": []}
    networks = {"n": {"static_ips": [f"10.99.1.{number}"], "interface_name": "eth0", "aliases": [f"a{number}"]}}
    return replace(first, pin=f"{number:064}", document={**document, "networks": networks})


def test_a_failure_is_told_in_the_words_of_netavark() -> None:
    need_netavark()
    with own_network(), locked():
        before = seen()
        os.close(pin_new(NAME))
        with pytest.raises(NetworkFailure, match="cannot connect the container to its network"):
            set_up(connection(subnet="nonsense"))
        take_down(connection())
        unpin(NAME)
        tidy()
        assert seen_once(before) == before


def test_rules_of_others_stay() -> None:
    need_netavark()
    with own_network(), locked():
        subprocess.run(["iptables", "-A", "FORWARD", "-s", "10.1.2.3", "-j", "DROP"], check=True)
        before = seen()
        os.close(pin_new(NAME))
        set_up(connection())
        take_down(connection())
        unpin(NAME)
        tidy()
        assert seen_once(before) == before
        assert len(before.rules) == 1


def test_no_signal_goes_to_a_process_that_has_the_number_of_the_server() -> None:
    need_netavark()
    with own_network(), locked():
        before = seen()
        stranger = subprocess.Popen(["sleep", "1000"])
        try:
            file: Path = networks_directory() / "dns" / "aardvark-dns" / "aardvark.pid"
            file.parent.mkdir(parents=True)
            file.write_text(f"{stranger.pid}", encoding="ascii")
            os.close(pin_new(NAME))
            set_up(connection())
            take_down(connection())
            unpin(NAME)
            tidy()
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()
        assert seen_once(before) == before
