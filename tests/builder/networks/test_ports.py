import socket

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.ports import allocated, exposed, mappings, parse_exposed, parse_publish, shown
from pybuild.builder.networks.values import PublishedPort


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("80", [(80, "tcp", "", 0, 0)]),
        ("8080:80", [(80, "tcp", "", 8080, 8080)]),
        ("127.0.0.1:8080:80/udp", [(80, "udp", "127.0.0.1", 8080, 8080)]),
        ("127.0.0.1::80", [(80, "tcp", "127.0.0.1", 0, 0)]),
        ("0.0.0.0:1:2/SCTP", [(2, "sctp", "", 1, 1)]),
        ("8000-8001:80-81", [(80, "tcp", "", 8000, 8000), (81, "tcp", "", 8001, 8001)]),
        ("8000-8009:80", [(80, "tcp", "", 8000, 8009)]),
        ("80-81", [(80, "tcp", "", 0, 0), (81, "tcp", "", 0, 0)]),
    ],
)
def test_what_is_published(text: str, found: list[tuple[int, str, str, int, int]]) -> None:
    ports = parse_publish(text)
    assert [
        (each.container_port, each.protocol, each.host_ip, each.host_port, each.host_last) for each in ports
    ] == found


@pytest.mark.parametrize(
    "text",
    ["", "x", "0", "65536", "1:2:3:4", "8000-8002:80-81", "82-81", "80/odd", "x:80:80", "[::1]:80:80", "-80", "8 0"],
)
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse_publish(text)


def test_exposed_ports_may_be_ranges() -> None:
    assert parse_exposed("80-81/UDP") == ("80/udp", "81/udp")
    assert [each.name for each in exposed(["80/tcp", "80/tcp", "x", "90-91/udp"])] == ["80/tcp", "90/udp", "91/udp"]
    with pytest.raises(RequestError):
        parse_exposed("80/odd")


def test_a_port_is_given_once() -> None:
    taken = allocated(parse_publish("127.0.0.1:18080:80"), [])
    assert shown(taken) == ["127.0.0.1:18080"]
    for text in ("18080:80", "127.0.0.1:18080:81"):
        with pytest.raises(NetworkError, match="18080 failed: port is already allocated"):
            allocated(parse_publish(text), taken)
    assert shown(allocated(parse_publish("127.0.0.2:18080:80"), taken)) == ["127.0.0.2:18080"]
    assert shown(allocated(parse_publish("18080:80/udp"), taken)) == ["0.0.0.0:18080"]
    assert shown(allocated(parse_publish("18080-18081:80"), taken)) == ["0.0.0.0:18081"]


def test_a_port_on_which_a_program_listens_is_not_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with pytest.raises(NetworkError):
            allocated(parse_publish(f"{number}:80"), [])
    (chosen,) = allocated(parse_publish("80"), [])
    assert chosen.host_port


def test_neighbours_are_one_mapping() -> None:
    ports = parse_publish("8000-8002:80-82") + parse_publish("9000:80") + parse_publish("8003:83/udp")
    found = {(each["host_port"], each["container_port"], each["protocol"], each["range"]) for each in mappings(ports)}
    assert found == {(8000, 80, "tcp", 3), (9000, 80, "tcp", 1), (8003, 83, "udp", 1)}
    assert mappings([PublishedPort(container_port=1, host_port=5)])[0]["host_ip"] == ""
