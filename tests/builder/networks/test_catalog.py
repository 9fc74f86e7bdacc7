from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.networks import catalog
from pybuild.builder.networks.catalog import Networks, check_driver
from pybuild.builder.networks.errors import NetworkError, NoSuchNetwork
from pybuild.builder.networks.membership import write_live
from pybuild.builder.networks.values import Endpoint, Live, NetworkConfig


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Networks]:
    monkeypatch.setattr(catalog, "routes", lambda: [(IPv4Network("172.30.0.0/16"), "eth0")])
    monkeypatch.setattr(catalog, "exists", lambda _name: False)
    return Networks(tmp_path)


def wanted(name: str, **members: str) -> NetworkConfig:
    return NetworkConfig(id="", created="", name=name, **members)  # type: ignore[arg-type] # texts only


def test_a_network_is_found_by_its_name_its_id_and_the_start_of_that(networks: Networks) -> None:
    made = networks.create(wanted("one"))
    assert [networks.find(text) for text in ("one", made.id, made.id[:5])] == [made, made, made]
    assert networks.made() == [made]
    for text in ("two", "", "../x"):
        with pytest.raises(NoSuchNetwork):
            networks.find(text)
    networks.remove(made)
    assert networks.made() == []


def test_two_networks_share_neither_name_nor_addresses(networks: Networks) -> None:
    one, two = networks.create(wanted("one")), networks.create(wanted("two"))
    assert one.subnet != two.subnet
    with pytest.raises(NetworkError, match="already exists"):
        networks.create(wanted("one"))
    for subnet in (one.subnet, "172.30.4.0/24"):
        with pytest.raises(NetworkError, match="overlaps"):
            networks.create(wanted("three", subnet=subnet, gateway="x"))


@pytest.mark.parametrize("name", ["", "-x", "--opt", "a b", "a/b", "a\n", ".", "x" * 256])
def test_a_name_is_never_an_option_or_a_path(networks: Networks, name: str) -> None:
    with pytest.raises(RequestError):
        networks.create(wanted(name))


def test_three_networks_are_always_there(networks: Networks) -> None:
    assert [each.name for each in networks.all()] == ["bridge", "host", "none"]
    assert networks.find("bridge") == networks.find("bridge")
    with pytest.raises(NetworkError, match="predefined"):
        networks.create(wanted("private"))
    for name in ("bridge", "host", "none"):
        with pytest.raises(NetworkError, match="predefined"):
            networks.create(wanted(name))
        with pytest.raises(NetworkError, match="cannot be removed"):
            networks.remove(networks.find(name))


def test_the_default_network_moves_away_from_a_route_that_came_later(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = networks.find("bridge")
    monkeypatch.setattr(catalog, "routes", lambda: [(IPv4Network(before.subnet), "vpn0")])
    after = networks.find("bridge")
    assert (after.id, after.subnet == before.subnet) == (before.id, False)


def test_a_network_whose_subnet_somebody_took_is_refused_by_name(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = networks.create(wanted("one"))
    networks.check_free(made)
    monkeypatch.setattr(catalog, "routes", lambda: [(IPv4Network(made.subnet), "vpn0")])
    with pytest.raises(NetworkError, match="vpn0"):
        networks.check_free(made)


def test_a_network_with_a_container_stays(networks: Networks, tmp_path: Path) -> None:
    made = networks.create(wanted("one"))
    place = tmp_path / "containers" / "c"
    place.mkdir(parents=True)
    endpoint = Endpoint(id="e", network=made.id, name="one", interface="eth0")
    write_live(place, Live(boot="", space="", container="c", endpoints=(endpoint,)))
    with pytest.raises(NetworkError, match="has active endpoints"):
        networks.remove(made)


def test_drivers() -> None:
    assert check_driver("ipvlan") == "ipvlan"
    with pytest.raises(NetworkError, match='plugin "overlay" not found'):
        check_driver("overlay")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"labels": 1}', '{"labels": [], "options": [], "id": "x"}'])
def test_a_damaged_file_hides_no_other_network(networks: Networks, text: str) -> None:
    made = networks.create(NetworkConfig(id="", name="one", created=""))
    (networks.directory / "damaged.json").write_text(text, encoding="utf-8")
    assert networks.made() == [made]
