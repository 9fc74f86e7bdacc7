from ipaddress import IPv4Network

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.subnets import checked, free_address, free_subnet, overlapping


def test_a_subnet_has_its_first_address_as_gateway() -> None:
    assert checked("", "", "") == ("", "", "")
    assert checked("10.1.2.7/24", "", "") == ("10.1.2.0/24", "10.1.2.1", "")
    assert checked("10.1.2.0/24", "10.1.2.254", "10.1.2.128/25") == ("10.1.2.0/24", "10.1.2.254", "10.1.2.128/25")


@pytest.mark.parametrize(
    "given",
    [
        ("", "10.1.2.1", ""),
        ("10.1.2.0/24", "10.1.3.1", ""),
        ("10.1.2.0/24", "x", ""),
        ("10.1.2.0/24", "", "10.1.0.0/16"),
        ("10.1.2.0/31", "", ""),
        ("--x", "", ""),
        ("fd00::/64", "", ""),
    ],
)
def test_what_does_not_fit_is_refused(given: tuple[str, str, str]) -> None:
    with pytest.raises(RequestError):
        checked(*given)


def test_a_subnet_that_is_taken_is_not_given_again() -> None:
    first, gateway = free_subnet(0, [])
    assert gateway == str(IPv4Network(first)[1])
    second, _ = free_subnet(0, [IPv4Network(first)])
    assert overlapping(second, [IPv4Network(first)]) is None
    assert free_subnet(5, [])[0] != first
    with pytest.raises(NetworkError, match="fully subnetted"):
        free_subnet(0, [IPv4Network("10.0.0.0/8")])


def test_an_address_is_neither_taken_nor_that_of_the_network() -> None:
    assert free_address("10.1.2.0/24", "", {"10.1.2.1"}) == "10.1.2.2"
    assert free_address("10.1.2.0/24", "10.1.2.128/25", {"10.1.2.128"}) == "10.1.2.129"
    assert free_address("10.1.2.0/24", "", (), "10.1.2.9") == "10.1.2.9"
    with pytest.raises(NetworkError, match="no available"):
        free_address("10.1.2.0/30", "", {"10.1.2.1", "10.1.2.2"})


@pytest.mark.parametrize("wanted", ["10.1.2.5", "10.1.2.0", "10.1.2.255", "10.1.3.1"])
def test_an_address_that_cannot_be_had_is_refused(wanted: str) -> None:
    with pytest.raises(NetworkError):
        free_address("10.1.2.0/24", "", {"10.1.2.5"}, wanted)
