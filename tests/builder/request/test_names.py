"""Names of contexts have one spelling; those of hosts and entitlements are checked."""

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request.names import (
    ENTITLEMENTS,
    check_contexts,
    check_entitlements,
    check_hosts,
    context_name,
    short_name,
)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a", "a"),
        ("A", "a"),
        ("alpine:latest", "alpine"),
        ("docker.io/library/alpine", "alpine"),
        ("host.invalid/x:1", "host.invalid/x:1"),
        ("alpine::linux/amd64", "alpine::linux/amd64"),
        ("alpine::x86_64", "alpine::linux/amd64"),
    ],
)
def test_a_name_has_one_spelling(given, name):
    assert context_name(given) == name


@pytest.mark.parametrize("name", ["", "context", "Scratch", "a b", "::linux/amd64", "-x"])
def test_what_can_be_no_name_of_a_stage_or_image_is_refused(name):
    with pytest.raises(RequestError, match="invalid context name"):
        context_name(name)


def test_platforms_and_values_of_contexts_are_checked() -> None:
    check_contexts((("a", "/x"), ("alpine::linux/amd64", "docker-image://b")))
    with pytest.raises(RequestError, match="invalid context name 'a::x/y/z/v': "):
        check_contexts((("a::x/y/z/v", "/x"),))
    with pytest.raises(RequestError, match="invalid context value: 'a=', expected key=value"):
        check_contexts((("a", ""),))
    assert (short_name("Docker.io/library/Alpine:latest"), short_name("a b")) == ("alpine", None)


@pytest.mark.parametrize("pair", [("", "1.1.1.1"), ("h", ""), ("a b", "1.1.1.1")])
def test_a_host_has_a_name_and_an_address(pair):
    with pytest.raises(RequestError, match="bad format for add-host"):
        check_hosts((pair,))


def test_the_address_of_a_host_is_ipv4_or_ipv6():
    check_hosts((("h", "1.1.1.1"), ("h", "::1")))
    with pytest.raises(RequestError, match='invalid IP address in add-host: "::g"'):
        check_hosts((("h", "::g"),))
    with pytest.raises(RequestError, match='invalid IP address in add-host: "fe80::1%eth0"'):
        check_hosts((("h", "fe80::1%eth0"),))


def test_an_entitlement_is_one_of_two():
    check_entitlements(ENTITLEMENTS)
    with pytest.raises(RequestError, match=r"invalid --allow 'network\.none'") as caught:
        check_entitlements(("network.none",))
    assert caught.value.hint == "use network.host or security.insecure"
