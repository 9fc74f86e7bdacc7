from pathlib import Path

import pytest

from pybuild.builder.networks import private, shared
from pybuild.builder.networks.catalog import Networks
from pybuild.builder.networks.connecting import disconnect_all
from pybuild.builder.networks.endpoints import Joining
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.membership import is_live, read_live
from pybuild.builder.networks.ports import parse_publish
from pybuild.builder.networks.values import Networking
from pybuild.runtime.private_networks.programs import Forward


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[list[Forward]]:
    """The ports of the networks that were begun."""
    found: list[list[Forward]] = []
    monkeypatch.setattr(private, "begin", found.append)
    monkeypatch.setattr(shared, "may_listen", lambda port: port >= 1024)
    return found


def joining(root: Path, number: int, *published: str) -> Joining:
    identity = f"{number}" * 64
    place = root / "containers" / identity
    place.mkdir(parents=True)
    ports = tuple(port for text in published for port in parse_publish(text))
    return Joining(id=identity, name="name", directory=place, networking=Networking(ports=ports))


def test_ports_are_chosen_and_written_down_until_the_container_ends(tmp_path: Path, begun: list[list[Forward]]) -> None:
    one = joining(tmp_path, 1, "127.0.0.1::80")
    private.begin_private(Networks(tmp_path), one)
    ((forward,),) = begun
    assert (forward.protocol, forward.host_ip, forward.port) == ("tcp", "127.0.0.1", 80)
    live = read_live(one.directory)
    assert live is not None
    assert ([port.host_port for port in live.ports], live.private) == ([forward.host_port], True)
    # Another one may not have it, although nothing listens there yet.
    with pytest.raises(NetworkError, match="port is already allocated"):
        private.begin_private(Networks(tmp_path), joining(tmp_path, 2, f"{forward.host_port}:80"))
    disconnect_all(tmp_path, one.directory)
    assert not is_live(one.directory)


def test_a_container_without_ports_has_nothing_to_take_down(tmp_path: Path, begun: list[list[Forward]]) -> None:
    one = joining(tmp_path, 1)
    private.begin_private(Networks(tmp_path), one)
    assert begun == [[]]
    assert not is_live(one.directory)


def test_a_port_of_root_is_refused_by_name(tmp_path: Path, begun: list[list[Forward]]) -> None:
    with pytest.raises(NetworkError, match="at 80 of the host, which is for root"):
        private.begin_private(Networks(tmp_path), joining(tmp_path, 1, "80:80"))
    assert begun == []
