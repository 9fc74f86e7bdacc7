"""Wrong values are refused with the words of the command line, whoever makes them."""

from pathlib import Path

import pytest

from pybuild.builder.caches.places import LocalCache, RegistryCache
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.request import Request
from pybuild.builder.request.checks import full_names

_DIGEST = Digest.parse("sha256:" + "0" * 64)


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
        ({"environment": (("", "x"),)}, "invalid --env '=x': no name before the equals sign"),
        ({"environment": (("a=b", "x"),)}, "invalid --env 'a=b': a name cannot have an equals sign"),
        ({"environment": (("a", "\0"),)}, "invalid environment: it has a NUL byte"),
        ({"build_args": (("a=b", "x"),)}, "invalid --build-arg 'a=b': a name cannot have an equals sign"),
        ({"contexts": (("", "/x"),)}, "invalid context name ''"),
        ({"contexts": (("a", ""),)}, "invalid context value: 'a=', expected key=value"),
        ({"resolv_conf": "nameserver 1.1.1.1\0"}, "invalid resolv_conf: it has a NUL byte"),
        ({"context": Path("a\0")}, "invalid context: it has a NUL byte"),
        ({"ssh": (("a", Path("a\0")),)}, "invalid ssh: it has a NUL byte"),
        ({"no_cache_filter": ("a", "\0")}, "invalid no_cache_filter: it has a NUL byte"),
        ({"cache_ttl": float("nan")}, "a duration cannot be negative"),
        ({"source_date_epoch": 2**70}, f"invalid --source-date-epoch '{2**70}'"),
        ({"source_date_epoch": -1}, "invalid --source-date-epoch '-1'"),
        ({"cache_to": (RegistryCache(ref="a@sha256:" + "0" * 64),)}, "a cache cannot be written to a digest"),
        ({"cache_to": (LocalCache(directory=Path("a"), digest=_DIGEST),)}, "a cache cannot be written to a digest"),
        ({"squash": "some"}, "invalid squash 'some'"),
        ({"jobs": 0}, "invalid jobs 0"),
        ({"timeout": 0}, "invalid --timeout of 0 seconds: expected more than 0"),
        ({"step_timeout": -1.5}, "invalid --step-timeout of -1.5 seconds"),
        ({"timeout": float("nan")}, "invalid --timeout of nan seconds"),
        ({"step_timeout": float("inf")}, "invalid --step-timeout of inf seconds"),
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


def test_names_are_spelled_in_full_each_once_in_order():
    assert full_names(("b:1", "a", "docker.io/library/a:latest", "host:5000/x/y")) == (
        "docker.io/library/b:1",
        "docker.io/library/a:latest",
        "host:5000/x/y:latest",
    )


@pytest.mark.parametrize("tag", ["", "UPPER", "a b", "a:b:c", "-x", "a/../b"])
def test_a_tag_that_is_no_name_is_refused(tag):
    with pytest.raises(RequestError, match="invalid tag") as caught:
        full_names((tag,))
    assert f'"{tag}"' in caught.value.message


def test_a_tag_has_no_digest():
    with pytest.raises(RequestError, match="a tag cannot have a digest"):
        full_names(("a@sha256:" + "1" * 64,))
