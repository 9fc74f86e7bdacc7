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
        ("0:80", [(80, "tcp", "", 0, 0)]),
        ("127.0.0.1:0:80", [(80, "tcp", "127.0.0.1", 0, 0)]),
        ("0:80-81", [(80, "tcp", "", 0, 0), (81, "tcp", "", 0, 0)]),
        ("127.0.0.1::80", [(80, "tcp", "127.0.0.1", 0, 0)]),
        ("0.0.0.0:1:2/SCTP", [(2, "sctp", "0.0.0.0", 1, 1)]),
        ("[::1]:8080:80", [(80, "tcp", "::1", 8080, 8080)]),
        ("[FD00:0::1]::80/udp", [(80, "udp", "fd00::1", 0, 0)]),
        ("[::]:8000-8001:80-81", [(80, "tcp", "::", 8000, 8000), (81, "tcp", "::", 8001, 8001)]),
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
    [
        "",
        "x",
        "0",
        "0-1:80",
        "8080:0",
        "65536",
        "1:2:3:4",
        "8000-8002:80-81",
        "82-81",
        "80/odd",
        "x:80:80",
        "::1:80:80",
        "[::1]:80",
        "[::1:80:80",
        "[::1]80:80",
        "[x]:80:80",
        "[fe80::1%lo]:80:80",
        "-80",
        "8 0",
    ],
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


def test_a_port_at_all_addresses_is_one_at_those_of_each_version() -> None:
    taken = allocated(parse_publish("18080:80"), [], ipv6=True)
    assert shown(taken) == ["0.0.0.0:18080", "[::]:18080"]
    for text in ("[::1]:18080:80", "127.0.0.1:18080:80", "0.0.0.0:18080:80"):
        with pytest.raises(NetworkError, match="18080 failed: port is already allocated"):
            allocated(parse_publish(text), taken)
    only = allocated(parse_publish("0.0.0.0:18080:80"), [], ipv6=True)
    assert shown(only) == ["0.0.0.0:18080"]
    assert shown(allocated(parse_publish("[::1]:18080:80"), only)) == ["[::1]:18080"]
    of_sctp = allocated(parse_publish("18080:80/sctp"), [], ipv6=True)
    assert [(each.protocol, each.host_ip) for each in of_sctp] == [("sctp", "")]
    first, second = allocated(parse_publish("80"), [], ipv6=True)
    assert first.host_port == second.host_port


def test_an_address_that_the_host_does_not_have_is_named() -> None:
    with pytest.raises(NetworkError, match=r"Bind for \[fd00:9::1\]:0 failed"):
        allocated(parse_publish("[fd00:9::1]::80"), [])


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


def test_netavark_gets_the_ports_of_ipv6_that_it_can_publish() -> None:
    ports = [
        *allocated(parse_publish("18080-18081:80-81"), [], ipv6=True),
        *allocated(parse_publish("0.0.0.0:18082:82"), [], ipv6=True),
        *parse_publish("[::]:18083:83"),
        *parse_publish("[::1]:18084:84"),
        *parse_publish("[fd00::1]:18085:85"),
    ]
    with_ipv6 = [(each["host_ip"], each["host_port"], each["range"]) for each in mappings(ports, ipv6=True)]
    # 18082 is the next one, but is told apart: it is one of IPv4 alone.
    assert with_ipv6 == [("", 18080, 2), ("", 18082, 1), ("fd00::1", 18085, 1)]
    assert all(":" not in str(each["host_ip"]) for each in mappings(ports))
