"""Wrong values are refused with the words of the command line, whoever makes them."""

from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request import Request


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"network": "nonne"}, "network mode 'nonne' not supported by pybuild"),
        ({"pull": "often"}, "invalid value for --pull: 'often'"),
        ({"tags": ("A B",)}, 'invalid tag "A B"'),
        ({"tags": ("a@sha256:" + "0" * 64,)}, "a tag cannot have a digest"),
        ({"platform": "a/b/c/d"}, "--platform: failed to parse platform a/b/c/d"),
        ({"platforms": ("linux/amd64", "")}, "--platform: "),
        ({"allow": frozenset({"all"})}, "invalid --allow 'all'"),
        ({"add_hosts": (("h", "there"),)}, 'invalid IP address in add-host: "there"'),
        ({"add_hosts": (("a b", "1.1.1.1"),)}, 'bad format for add-host: "a b:1.1.1.1"'),
        ({"labels": (("", "x"),)}, "invalid --label '=x'"),
        ({"build_args": ((" ", "x"),)}, "invalid --build-arg ' =x'"),
        ({"squash": "some"}, "invalid squash 'some'"),
        ({"jobs": 0}, "invalid jobs 0"),
        ({"cache_ttl": -1.0}, "a duration cannot be negative"),
    ],
)
def test_a_value_that_means_nothing_is_refused(given, message):
    with pytest.raises(RequestError) as caught:
        Request.of(**{"context": Path(), **given})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tags": "abc"}, "invalid tags: expected tuple[str, ...], not str"),
        ({"tags": ["abc"]}, "invalid tags: expected tuple[str, ...], not list"),
        ({"tags": (1,)}, "invalid tags: expected tuple[str, ...], not tuple[int]"),
        ({"labels": (("a",),)}, "expected tuple[tuple[str, str], ...], not tuple[tuple[str]]"),
        ({"context": 3}, "invalid context: expected Path or str, not int"),
        ({"target": 0}, "invalid target: expected str or None, not int"),
        ({"outputs": ("oci",)}, "expected tuple[Output, ...], not tuple[str]"),
        ({"allow": ("network.host",)}, "expected frozenset[str], not tuple[str]"),
        ({"no_cache": "false"}, "invalid no_cache: expected bool, not str"),
    ],
)
def test_a_value_of_another_type_is_refused(given, message):
    with pytest.raises(RequestError) as caught:
        Request.of(**{"context": Path(), **given})
    assert message in str(caught.value)


def test_a_message_about_a_type_does_not_show_the_value():
    with pytest.raises(RequestError) as caught:
        Request.of(context=Path(), build_args=(("TOKEN", b"secret"),))
    assert "secret" not in str(caught.value)


def test_what_can_be_meant_is_taken():
    made = Request.of(context="https://h.invalid/x.git", cache_ttl=3, add_hosts=(("h", "::1"),), platform="arm64")
    assert made.caches.cache_ttl == 3
