"""What --cache-from and --cache-to may name."""

from pathlib import Path

import pytest

from pybuild.builder.caches.places import GhaCache, LocalCache, RegistryCache, Writing
from pybuild.builder.cli.flags.cache_spec import read_from, read_to
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.request import Compression


def test_a_name_alone_is_a_registry() -> None:
    wanted = RegistryCache(ref="example.com/a:b")
    assert read_from(["example.com/a:b", ""]) == (wanted,)
    assert read_from(["type=registry,ref=example.com/a:b"]) == (wanted,)


def test_options_are_read_as_one_record_of_csv() -> None:
    (spec,) = read_to(['type=local,"dest=a,b",MODE=max,oci-mediatypes=true,ignore-error=1'])
    assert spec == LocalCache(directory=Path("a,b"), writing=Writing(everything=True, ignore_error=True))


def test_every_option_has_a_type() -> None:
    digest = Digest.of(b"")
    assert read_from([f"type=local,src=a,tag=t,digest={digest}"]) == (
        LocalCache(directory=Path("a"), tag="t", digest=digest),
    )
    assert read_from(["type=gha,scope=s,timeout=90s,version=1,url=u"]) == (
        GhaCache(scope="s", timeout=90.0, version=1, url="u"),
    )
    assert read_from(["type=registry,ref=x,registry.insecure=T"]) == (RegistryCache(ref="x", insecure=True),)
    text = "type=local,dest=a,reset=1,compression=zstd,compression-level=3,force-compression=t"
    packed = Writing(compression=Compression(algorithm="zstd", level=3), force_compression=True)
    assert read_to([text]) == (LocalCache(directory=Path("a"), reset=True, writing=packed),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", Writing(all_mounts=True)),
        ("T", Writing(all_mounts=True)),
        ("0", Writing()),
        ("a;b", Writing(mounts=frozenset({"a", "b"}))),
    ],
)
def test_mounts_are_all_none_or_named(text: str, expected: Writing) -> None:
    assert read_to([f"type=registry,ref=x,mounts={text}"]) == (RegistryCache(ref="x", writing=expected),)


@pytest.mark.parametrize(
    ("cache_from", "cache_to", "message"),
    [
        ("type=gha,timeout=soon", "", "--cache-from: timeout"),
        ("type=gha,version=3", "", "--cache-from: invalid version=3"),
        ('type=gha,"scope=a,b"', "", "--cache-from: invalid scope"),
        ("type=local,src=x,digest=sha256:0", "", "--cache-from: invalid digest=sha256:0"),
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
        (read_from([cache_from]), read_to([cache_to]))
    assert raised.value.message.startswith(message)
