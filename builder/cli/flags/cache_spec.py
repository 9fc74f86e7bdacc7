"""Parsing ``--cache-from`` and ``--cache-to``. Mistakes are RequestErrors."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.builder.cli.flags.build_values import checked_compression
from pybuild.builder.errors import RequestError
from pybuild.builder.options import boolean, duration
from pybuild.builder.request import CacheSpec, checks
from pybuild.grammar.parse_go import parse_bool
from pybuild.grammar.suggest import did_you_mean

if TYPE_CHECKING:
    from pybuild.builder.caches.places import Writing
    from pybuild.builder.oci.digest import Digest

_COMMON = ("ref", "registry.insecure")
_GHA = ("scope", "timeout", "url", "url_v2", "token", "version")
_FROM = {"local": ("src", "tag", "digest"), "registry": _COMMON, "gha": _GHA}
_WRITTEN = ("mode", "mounts", "ignore-error", "compression", "compression-level", "force-compression")
_TO = {
    "local": ("dest", "tag", "reset", *_WRITTEN),
    "registry": (*_COMMON, *_WRITTEN),
    "gha": (*_GHA, *_WRITTEN),
    "inline": (),
}
_ONLY_TRUE = frozenset({"image-manifest", "oci-mediatypes"})
_VALUES = {"mode": ("min", "max"), "version": ("1", "2")}


def read_from(texts: Iterable[str]) -> tuple[CacheSpec, ...]:
    """Return the caches that ``--cache-from`` names."""
    return _specs(texts, "--cache-from", _FROM)


def read_to(texts: Iterable[str]) -> tuple[CacheSpec, ...]:
    """Return the caches that ``--cache-to`` names."""
    found = _specs(texts, "--cache-to", _TO)
    checks.written(found)
    return found


def _specs(given: Iterable[str], flag: str, types: Mapping[str, tuple[str, ...]]) -> tuple[CacheSpec, ...]:
    # A script passes an empty value when its variable is not set.
    return tuple(_spec(text, flag, types) for text in given if text)


def _spec(text: str, flag: str, types: Mapping[str, tuple[str, ...]]) -> CacheSpec:
    options = _options(text, flag)
    kind = options.pop("type", "registry")
    if kind not in types:
        hint = did_you_mean(kind, tuple(types)) or f"use one of {', '.join(types)}"
        raise RequestError(f"{flag}: cache type {kind!r} is not supported", hint=hint)
    for key, value in options.items():
        _check(flag, key, value, types[kind])
    return _READERS[kind](options, flag)


def _options(text: str, flag: str) -> dict[str, str]:
    """Return the fields of one record of CSV; a text without an equals sign is a reference."""
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise RequestError(f"{flag}: invalid value {text!r}: {error}") from error
    if fields == [text] and "=" not in text:
        return {"type": "registry", "ref": text}
    pairs = [field.partition("=") for field in fields]
    for key, equals, _ in pairs:
        if not equals:
            raise RequestError(f"{flag}: invalid field {key!r}", hint="write it as key=value")
    return {key.strip().lower(): value for key, _, value in pairs}


def _check(flag: str, key: str, value: str, known: tuple[str, ...]) -> None:
    if key in _ONLY_TRUE:
        if not boolean(key, value, flag):
            raise RequestError(f"{flag}: {key}={value} is not supported", hint="caches are always OCI image manifests")
        return
    if key not in known:
        hint = did_you_mean(key, known) or f"available: {', '.join(known) or 'none'}"
        raise RequestError(f"{flag}: unknown option {key!r}", hint=hint)
    if key in _VALUES and value.lower() not in _VALUES[key]:
        raise RequestError(f"{flag}: invalid {key}={value}", hint=f"use one of {', '.join(_VALUES[key])}")


def _local(options: Mapping[str, str], flag: str) -> CacheSpec:
    from pybuild.builder.caches.places import LocalCache

    needed = "dest" if flag == "--cache-to" else "src"
    return LocalCache(
        directory=Path(_needed(options, needed, "local", flag)),
        tag=options.get("tag") or "latest",
        digest=_digest(options.get("digest", ""), flag),
        reset=_flag(options, "reset", flag),
        writing=_writing(options, flag),
    )


def _registry(options: Mapping[str, str], flag: str) -> CacheSpec:
    from pybuild.builder.caches.places import RegistryCache

    ref, insecure = _needed(options, "ref", "registry", flag), _flag(options, "registry.insecure", flag)
    writing = _writing(options, flag)
    with _blaming(flag):
        return RegistryCache(ref=ref, insecure=insecure, writing=writing)


def _gha(options: Mapping[str, str], flag: str) -> CacheSpec:
    from pybuild.builder.caches.places import GhaCache

    timeout = duration(f"{flag}: timeout", options.get("timeout") or "10m")
    writing = _writing(options, flag)
    with _blaming(flag):
        return GhaCache(
            scope=options.get("scope") or "pybuild",
            timeout=timeout,
            url=options.get("url", ""),
            url_v2=options.get("url_v2", ""),
            token=options.get("token", ""),
            version=int(options["version"]) if "version" in options else None,
            writing=writing,
        )


@contextmanager
def _blaming(flag: str) -> Iterator[None]:
    """Let a RequestError of the block name *flag*."""
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{flag}: {error.message}", hint=error.hint) from error


def _inline(_options: Mapping[str, str], _flag: str) -> CacheSpec:
    from pybuild.builder.caches.places import InlineCache

    return InlineCache()


_READERS: Mapping[str, Callable[[Mapping[str, str], str], CacheSpec]] = {
    "local": _local,
    "registry": _registry,
    "gha": _gha,
    "inline": _inline,
}


def _writing(options: Mapping[str, str], flag: str) -> "Writing":
    from pybuild.builder.caches.places import Writing

    every, names = _mounts(options.get("mounts", ""))
    compression = None
    if "compression" in options:
        compression = checked_compression(options["compression"], options.get("compression-level"))
    elif detail := next((key for key in ("compression-level", "force-compression") if key in options), ""):
        raise RequestError(f"{flag}: {detail} needs compression=", hint="such as compression=zstd")
    return Writing(
        everything=options.get("mode", "").lower() == "max",
        all_mounts=every,
        mounts=names,
        ignore_error=_flag(options, "ignore-error", flag),
        compression=compression,
        force_compression=_flag(options, "force-compression", flag),
    )


def _mounts(text: str) -> tuple[bool, frozenset[str]]:
    """Return (all cache mounts, IDs of some): the value is a boolean, or ``ID;ID``."""
    try:
        return text != "" and parse_bool(text), frozenset()
    except ValueError:
        return False, frozenset(text.split(";"))


def _digest(text: str, flag: str) -> "Digest | None":
    if not text:
        return None
    from pybuild.builder.oci.digest import Digest
    from pybuild.builder.oci.errors import OciError

    try:
        return Digest.parse(text)
    except OciError as error:
        raise RequestError(f"{flag}: invalid digest={text}", hint="write it as sha256:...") from error


def _needed(options: Mapping[str, str], key: str, kind: str, flag: str) -> str:
    if not options.get(key):
        raise RequestError(f"{flag}: type={kind} needs {key}=")
    return options[key]


def _flag(options: Mapping[str, str], key: str, flag: str) -> bool:
    return key in options and boolean(key, options[key], flag)
