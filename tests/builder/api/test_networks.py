import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import pybuild
from pybuild import errors
from tests.helpers.hosts import need_small_base
from tests.helpers.networks import need_netavark, own_network, seen, seen_once
from tests.helpers.program import Program


@pytest.fixture
def store(tmp_path: Path) -> Iterator[pybuild.Store]:
    need_netavark()
    Program(store=tmp_path / "store").run("import", "-c", "ENV PATH=/bin", str(need_small_base()), "box")
    with own_network():
        before = seen()
        with pybuild.Store.open(tmp_path / "store") as opened:
            yield opened
            for left in pybuild.containers(opened):
                left.remove()
        assert seen_once(before) == before


def test_containers_find_each_other_and_the_host_finds_them(store: pybuild.Store) -> None:
    serve = ("sh", "-c", "mkdir /w; echo hello > /w/f; echo ready; busybox httpd -f -p 80 -h /w")
    with (
        pybuild.create_network("app", store, subnet="10.201.7.0/24") as network,
        pybuild.start("box", serve, store, name="web", networks=("app",), ports=("127.0.0.1::80",)) as web,
        pybuild.start("box", ("sleep", "1000"), store, networks=(network.id,)) as client,
    ):
        assert (network.name, network.subnet, len(network.id)) == ("app", "10.201.7.0/24", 64)
        assert next(web.logs(follow=True)) == (1, b"ready\n")
        ((host, port),) = web.addresses("80/tcp")
        assert host == "127.0.0.1"
        with socket.create_connection((host, port), timeout=30) as connection:
            connection.sendall(b"GET /f HTTP/1.0\r\n\r\n")
            assert connection.makefile("rb").read().endswith(b"hello\n")
        printed: list[tuple[int, bytes]] = []
        assert client.run(("wget", "-q", "-O-", "http://web/f"), lambda *piece: printed.append(piece)) == 0
        assert printed == [(1, b"hello\n")]
        assert (web.addresses("81"), client.addresses("80")) == ([], [])
        with pytest.raises(errors.NetworkError, match="active endpoints"):
            network.remove()
        web.stop(0)
        assert web.addresses("80") == []
    assert pybuild.networks(store) == []


def test_what_a_network_cannot_be(store: pybuild.Store) -> None:
    with pybuild.create_network("one", store) as one:
        assert [each.id for each in pybuild.networks(store)] == [one.id]
        with pytest.raises(errors.NetworkError, match="already exists"):
            pybuild.create_network("one", store)
        with pytest.raises(errors.RequestError, match="invalid network name"):
            pybuild.create_network("a b", store)
        with pytest.raises(errors.RequestError):
            pybuild.create_network("two", store, subnet="nonsense")
        with pytest.raises(errors.NetworkError, match="nope not found"):
            pybuild.start("box", ("true",), store, networks=("nope",))
        assert pybuild.containers(store) == []
    one.remove()
