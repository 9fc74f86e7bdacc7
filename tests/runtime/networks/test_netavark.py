import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from pybuild.runtime.networks.namespaces import locked, networks_directory, pin_new
from pybuild.runtime.networks.netavark import Connection, NetworkFailure, release_namespace, set_up, take_down
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
        release_namespace(NAME)
        assert seen_once(before) == before
        take_down(connection())
        release_namespace(NAME)
        assert seen_once(before) == before


def test_a_failure_is_told_in_the_words_of_netavark() -> None:
    need_netavark()
    with own_network(), locked():
        before = seen()
        os.close(pin_new(NAME))
        with pytest.raises(NetworkFailure, match="cannot connect the container to its network"):
            set_up(connection(subnet="nonsense"))
        take_down(connection())
        release_namespace(NAME)
        assert seen_once(before) == before


def test_rules_of_others_stay() -> None:
    need_netavark()
    with own_network(), locked():
        subprocess.run(["iptables", "-A", "FORWARD", "-s", "10.1.2.3", "-j", "DROP"], check=True)
        before = seen()
        os.close(pin_new(NAME))
        set_up(connection())
        take_down(connection())
        release_namespace(NAME)
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
            release_namespace(NAME)
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()
        assert seen_once(before) == before
