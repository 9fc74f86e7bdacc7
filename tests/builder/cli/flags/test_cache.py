from collections.abc import Sequence

import pytest

from pybuild.builder.cli.flags.cache import cache_values
from pybuild.builder.errors import RequestError
from pybuild.builder.request import CacheSpec


def values(cache_from: Sequence[str] = (), cache_to: Sequence[str] = (), **flags: object) -> dict[str, object]:
    defaults = {"build_args": (), "no_cache_filter": (), "cache_ttl": None}
    return cache_values({"cache_from": cache_from, "cache_to": cache_to, **defaults, **flags})


def test_stages_and_an_age_limit_the_cache() -> None:
    given = values(no_cache_filter=("a,B", "c", ""), cache_ttl="1h30m")
    assert (given["no_cache_filter"], given["cache_ttl"]) == (("a", "B", "c"), 5400)
    assert (values()["no_cache_filter"], values()["cache_ttl"]) == ((), None)


@pytest.mark.parametrize("text", ["", "1", "tomorrow", "-1h", "1d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="--cache-ttl"):
        values(cache_ttl=text)


@pytest.mark.parametrize("text", ["1", "t", "TRUE"])
def test_a_build_argument_asks_for_an_inline_cache(text: str) -> None:
    assert values(build_args=[f"BUILDKIT_INLINE_CACHE={text}"])["cache_to"] == (CacheSpec(type="inline"),)


@pytest.mark.parametrize("text", ["0", "F", "maybe", ""])
def test_any_other_value_of_it_asks_for_nothing_as_in_docker(text: str) -> None:
    assert values(build_args=[f"BUILDKIT_INLINE_CACHE={text}"])["cache_to"] == ()


def test_a_name_alone_is_a_registry() -> None:
    wanted = CacheSpec(type="registry", options=(("ref", "example.com/a:b"),))
    assert values(["example.com/a:b", ""])["cache_from"] == (wanted,)
    assert values(["type=registry,ref=example.com/a:b"])["cache_from"] == (wanted,)


def test_options_are_read_as_one_record_of_csv() -> None:
    (spec,) = values(cache_to=['type=local,"dest=a,b",MODE=max,oci-mediatypes=true,ignore-error=1'])["cache_to"]
    assert spec == CacheSpec(type="local", options=(("dest", "a,b"), ("mode", "max"), ("ignore-error", "1")))
    assert spec.flag("ignore-error")


@pytest.mark.parametrize(
    ("cache_from", "cache_to", "message"),
    [
        ("type=gha,timeout=soon", "", "--cache-from: timeout"),
        ("type=gha,version=3", "", "--cache-from: invalid version=3"),
        ('type=gha,"scope=a,b"', "", "--cache-from: invalid scope"),
        ("type=gha,mode=max", "", "--cache-from: unknown option 'mode'"),
        ("", "type=s3,bucket=x", "--cache-to: cache type 's3' is not supported"),
        ("type=inline", "", "--cache-from: cache type 'inline' is not supported"),
        ("type=local", "", "--cache-from: type=local needs src="),
        ("", "type=local", "--cache-to: type=local needs dest="),
        ("", "type=registry,mode=max", "--cache-to: type=registry needs ref="),
        ("", "type=local,dest=x,mode=most", "--cache-to: invalid mode=most"),
        ("", "type=local,dest=x,compression=lzma", "unsupported compression 'lzma'"),
        ("", "type=local,dest=x,compression=gzip,compression-level=20", "invalid compression level '20' for gzip"),
        ("", "type=local,dest=x,force-compression=true", "--cache-to: force-compression needs compression="),
        ("", "type=local,dest=x,reset=maybe", "invalid --cache-to: reset=maybe"),
        ("", "type=local,dest=x,ignore-error=yes", "invalid --cache-to: ignore-error=yes"),
        ("type=registry,ref=x,registry.insecure=on", "", "invalid --cache-from: registry.insecure=on"),
        ("", "type=registry,ref=x,image-manifest=maybe", "invalid --cache-to: image-manifest=maybe"),
        ("", "type=registry,ref=x,reset=true", "--cache-to: unknown option 'reset'"),
        ("", "type=local,dest=x,mod=max", "--cache-to: unknown option 'mod'"),
        ("", "type=local,dest=x,oci-mediatypes=false", "--cache-to: oci-mediatypes=false is not supported"),
        ("type=local,src", "", "--cache-from: invalid field 'src'"),
        ("", f"a@sha256:{'0' * 64}", "--cache-to: a cache cannot be written to a digest"),
        ("Not/A:Name:", "", "--cache-from: invalid ref"),
        ('type=local,"src="a', "", "--cache-from: invalid value"),
    ],
)
def test_what_cannot_be_meant_is_refused(cache_from: str, cache_to: str, message: str) -> None:
    with pytest.raises(RequestError) as raised:
        values([cache_from], [cache_to])
    assert raised.value.message.startswith(message)
