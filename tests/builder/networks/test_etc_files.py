import os
from pathlib import Path

import pytest

from pybuild.builder.networks import etc_files
from pybuild.builder.networks.etc_files import host_resolv, hosts_text, resolv_text, rewrite
from pybuild.builder.networks.values import Endpoint, Live, Networking

HOST = "# ours\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch example.org\noptions edns0\n"


def live(*, resolves: bool) -> Live:
    document = '{"network_info": {"n": {"subnets": [{"gateway": "10.1.2.1"}]}}}'
    endpoint = Endpoint(id="e", network="n", name="n", interface="eth0", document=document, resolves=resolves)
    return Live(boot="", space="", container="c", endpoints=(endpoint,))


def test_the_servers_of_the_host_are_those_that_can_be_reached() -> None:
    found = resolv_text(live(resolves=False), Networking(), HOST)
    assert found == "nameserver 10.0.0.2\nsearch example.org\noptions edns0\n"
    assert resolv_text(None, Networking(), HOST).startswith("nameserver 127.0.0.53\nnameserver 10.0.0.2\n")
    assert resolv_text(live(resolves=False), Networking(), "nameserver ::1\n").startswith("nameserver 8.8.8.8\n")


def test_in_an_own_network_the_server_is_its_own() -> None:
    assert resolv_text(live(resolves=True), Networking(dns=("9.9.9.9",)), "") == "nameserver 10.1.2.1\n"
    wanted = Networking(dns=("9.9.9.9",), dns_search=("a.b", "c"), dns_options=("ndots:2",))
    found = resolv_text(live(resolves=False), wanted, HOST)
    assert found == "nameserver 9.9.9.9\nsearch a.b c\noptions ndots:2\n"
    assert "search" not in resolv_text(None, Networking(dns_search=(".",)), HOST)


def test_the_servers_behind_a_stub_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = tmp_path / "resolved", tmp_path / "usual"
    monkeypatch.setattr(etc_files, "HOST_RESOLVERS", places)
    assert host_resolv() == ""
    places[0].write_text("nameserver 10.0.0.3\n", encoding="ascii")
    places[1].write_text("nameserver 127.0.0.53\n", encoding="ascii")
    assert host_resolv() == "nameserver 10.0.0.3\n"
    places[1].write_text("nameserver 10.0.0.4\n", encoding="ascii")
    assert host_resolv() == "nameserver 10.0.0.4\n"


def test_names_of_hosts() -> None:
    found = hosts_text([("10.1.2.3", "me")], [("10.1.2.4", "db")])
    assert found.splitlines()[-2:] == ["10.1.2.3\tme", "10.1.2.4\tdb"]
    assert found.startswith("127.0.0.1\tlocalhost\n")


def test_a_file_is_changed_in_place_and_never_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("a longer text", encoding="ascii")
    number = os.stat(tmp_path / "hosts").st_ino
    rewrite(tmp_path, "hosts", "new")
    assert (tmp_path / "hosts").read_text(encoding="ascii") == "new"
    assert os.stat(tmp_path / "hosts").st_ino == number
    (tmp_path / "link").symlink_to("hosts")
    with pytest.raises(OSError, match="link"):
        rewrite(tmp_path, "link", "x")
    assert (tmp_path / "hosts").read_text(encoding="ascii") == "new"
