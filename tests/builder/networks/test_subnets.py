from ipaddress import IPv4Network, IPv6Network

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.networks.errors import NetworkError
from pybuild.builder.networks.subnets import checked, free_address, free_subnet, free_subnet6, overlapping
from pybuild.builder.networks.values import AddressPool

Given = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def test_a_subnet_has_its_first_address_as_gateway() -> None:
    assert checked((), (), (), ipv6=False) == (AddressPool(), AddressPool())
    assert checked(("10.1.2.7/24",), (), (), ipv6=False) == (
        AddressPool(subnet="10.1.2.0/24", gateway="10.1.2.1"),
        AddressPool(),
    )
    found, _ = checked(("10.1.2.0/24",), ("10.1.2.254",), ("10.1.2.128/25",), ipv6=False)
    assert found == AddressPool(subnet="10.1.2.0/24", gateway="10.1.2.254", ip_range="10.1.2.128/25")


def test_the_words_of_each_version_belong_together_in_any_order() -> None:
    subnets = ("fd00:0:1::7/64", "10.1.2.0/24")
    found = checked(subnets, ("10.1.2.9", "fd00:0:1::9"), ("fd00:0:1::100/120",), ipv6=True)
    assert found == (
        AddressPool(subnet="10.1.2.0/24", gateway="10.1.2.9"),
        AddressPool(subnet="fd00:0:1::/64", gateway="fd00:0:1::9", ip_range="fd00:0:1::100/120"),
    )
    assert checked(("fd00::/64",), (), (), ipv6=True) == (
        AddressPool(),
        AddressPool(subnet="fd00::/64", gateway="fd00::1"),
    )


@pytest.mark.parametrize(
    "given",
    [
        ((), ("10.1.2.1",), ()),
        ((), (), ("10.1.2.0/24",)),
        (("10.1.2.0/24",), ("10.1.3.1",), ()),
        (("10.1.2.0/24",), ("x",), ()),
        (("10.1.2.0/24",), ("fd00::1",), ()),
        (("fd00:1::/64",), ("fd00:1::1%eth0",), ()),
        (("fd00:1::%1/64",), (), ()),
        (("10.1.2.0/24",), (), ("10.1.0.0/16",)),
        (("10.1.2.0/24",), (), ("fd00::/64",)),
        (("10.1.2.0/31",), (), ()),
        (("10.1.2.0/24", "10.1.3.0/24"), (), ()),
        (("--x",), (), ()),
        (("fd00::/64", "fd01::/64"), (), ()),
        (("fd00::/127",), (), ()),
        (("fe80::/64",), (), ()),
        (("ff02::/64",), (), ()),
        (("::/64",), (), ()),
        (("::ffff:10.1.2.0/120",), (), ()),
    ],
)
def test_what_does_not_fit_is_refused(given: Given) -> None:
    with pytest.raises(RequestError):
        checked(*given, ipv6=True)


def test_a_subnet_of_ipv6_needs_its_flag() -> None:
    with pytest.raises(RequestError, match="--subnet fd00::/64 is one of IPv6") as caught:
        checked(("fd00::/64",), (), (), ipv6=False)
    assert caught.value.hint == "add --ipv6"


def test_a_subnet_that_is_taken_is_not_given_again() -> None:
    first = free_subnet(0, [])
    assert first.gateway == str(IPv4Network(first.subnet)[1])
    second = free_subnet(0, [IPv4Network(first.subnet), IPv6Network("::/0")])
    assert overlapping(second.subnet, [IPv4Network(first.subnet)]) is None
    assert free_subnet(5, []).subnet != first.subnet
    with pytest.raises(NetworkError, match="fully subnetted"):
        free_subnet(0, [IPv4Network("10.0.0.0/8")])


def test_a_subnet_of_ipv6_is_local_and_drawn_by_chance() -> None:
    first = free_subnet6("0123456789abcdef", [])
    assert first == AddressPool(subnet="fd01:2345:6789::/64", gateway="fd01:2345:6789::1")
    taken = [IPv4Network("0.0.0.0/0"), IPv6Network(first.subnet)]
    assert free_subnet6("0123456789abcdef", taken).subnet == "fd01:2345:6789:1::/64"
    with pytest.raises(NetworkError, match="no subnet of IPv6 is free"):
        free_subnet6("0123456789abcdef", [IPv6Network("fd00::/8")])


def test_an_address_is_neither_taken_nor_that_of_the_network() -> None:
    pool = AddressPool(subnet="10.1.2.0/24")
    assert free_address(pool, {"10.1.2.1"}) == "10.1.2.2"
    assert free_address(AddressPool(subnet=pool.subnet, ip_range="10.1.2.128/25"), {"10.1.2.128"}) == "10.1.2.129"
    assert free_address(pool, (), "10.1.2.9") == "10.1.2.9"
    with pytest.raises(NetworkError, match="no available IPv4"):
        free_address(AddressPool(subnet="10.1.2.0/30"), {"10.1.2.1", "10.1.2.2"})
    wide = AddressPool(subnet="fd00::/64")
    assert free_address(wide, {"fd00::1"}) == "fd00::2"
    assert free_address(AddressPool(subnet=wide.subnet, ip_range="fd00::ff00/120"), ()) == "fd00::ff00"
    assert free_address(wide, (), "fd00::ffff:ffff:ffff:ffff") == "fd00::ffff:ffff:ffff:ffff"
    with pytest.raises(NetworkError, match="no available IPv6"):
        free_address(AddressPool(subnet="fd00::/126"), {"fd00::1", "fd00::2", "fd00::3"})


@pytest.mark.parametrize(
    ("subnet", "wanted"),
    [("10.1.2.0/24", f"10.1.{last}") for last in ("2.5", "2.0", "2.255", "3.1")]
    + [("fd00::/64", wanted) for wanted in ("fd00::5", "fd00::", "fd00:0:0:1::1")],
)
def test_an_address_that_cannot_be_had_is_refused(subnet: str, wanted: str) -> None:
    with pytest.raises(NetworkError):
        free_address(AddressPool(subnet=subnet), {"10.1.2.5", "fd00::5"}, wanted)
