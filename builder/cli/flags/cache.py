"""Flags of ``build`` about caches. Raises RequestError."""

import csv
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from pybuild.builder.cli.flags.build import compression
from pybuild.builder.errors import RequestError
from pybuild.builder.options import boolean, is_true
from pybuild.builder.request import CacheSpec
from pybuild.grammar.golang import parse_duration
from pybuild.grammar.reference import InvalidReference, parse_reference
from pybuild.grammar.suggest import did_you_mean

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
_INLINE = "BUILDKIT_INLINE_CACHE"
"""The build argument that asks for ``type=inline``."""
_ONLY_TRUE = frozenset({"image-manifest", "oci-mediatypes"})
_NEEDED = {"local": {True: "dest", False: "src"}, "registry": {True: "ref", False: "ref"}}
_SWITCHES = ("ignore-error", "registry.insecure", "force-compression", "reset")
_VALUES = {"mode": ("min", "max"), "version": ("1", "2")}


def cache_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags to a command."""
    options = (
        click.option(
            "--cache-from",
            multiple=True,
            metavar="SPEC",
            help="Cache to ask: type=local,src=DIR, type=registry,ref=NAME or NAME alone, type=gha; repeatable.",
        ),
        click.option(
            "--cache-to",
            multiple=True,
            metavar="SPEC",
            help="Cache to write: type=local,dest=DIR, type=registry,ref=NAME, type=gha or type=inline; mode=max, "
            "mounts=true.",
        ),
        click.option(
            *("--no-cache-filter", "no_cache_filter"),
            multiple=True,
            metavar="STAGE[,STAGE]",
            help="Run every step of these stages; repeatable.",
        ),
        click.option("--cache-ttl", metavar="DURATION", help="Run steps again whose layers are older: 24h, 90m."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def cache_values(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that these flags set."""
    pairs = (item.partition("=") for item in flags["build_args"])
    inline = ["type=inline"] if any(name == _INLINE and is_true(value) for name, _, value in pairs) else []
    return {
        "cache_from": _specs(flags["cache_from"], "--cache-from", _FROM),
        "no_cache_filter": tuple(name for item in flags["no_cache_filter"] for name in item.split(",") if name),
        "cache_ttl": None if flags["cache_ttl"] is None else duration("--cache-ttl", flags["cache_ttl"]),
        "cache_to": _specs((*flags["cache_to"], *inline), "--cache-to", _TO),
    }


def duration(flag: str, text: str) -> float:
    """Return the seconds of a duration in Go's notation."""
    try:
        seconds = parse_duration(text) / 1e9
    except ValueError as error:
        raise RequestError(f"{flag}: {error}", hint="write it as 24h or 1h30m") from error
    if seconds < 0:
        raise RequestError(f"{flag}: a duration cannot be negative")
    return seconds


def _specs(given: Iterable[str], flag: str, types: Mapping[str, tuple[str, ...]]) -> tuple[CacheSpec, ...]:
    # An empty value, as scripts leave behind when a variable is not set, asks for nothing.
    return tuple(_spec(text, flag, types) for text in given if text)


def _spec(text: str, flag: str, types: Mapping[str, tuple[str, ...]]) -> CacheSpec:
    options = _options(text, flag)
    kind = options.pop("type", "registry")
    if kind not in types:
        hint = did_you_mean(kind, tuple(types)) or f"use one of {', '.join(types)}"
        raise RequestError(f"{flag}: cache type {kind!r} is not supported", hint=hint)
    for key, value in options.items():
        _check(flag, key, value, types[kind])
    needed = _NEEDED.get(kind, {}).get(flag == "--cache-to")
    if needed and not options.get(needed):
        raise RequestError(f"{flag}: type={kind} needs {needed}=")
    _check_compression(flag, options)
    _check_gha(flag, options)
    if "ref" in options:
        try:
            pinned = parse_reference(options["ref"]).digest
        except InvalidReference as error:
            raise RequestError(f"{flag}: invalid ref: {error}") from error
        if pinned and flag == "--cache-to":
            raise RequestError(f"{flag}: a cache cannot be written to a digest", hint="give a tag")
    return CacheSpec(type=kind, options=tuple((key, options[key]) for key in options if key not in _ONLY_TRUE))


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


def _check_compression(flag: str, options: Mapping[str, str]) -> None:
    """Raise RequestError for a compression that there is not, or for details without one."""
    if "compression" in options:
        compression(",".join(options[key] for key in ("compression", "compression-level") if key in options))
    elif detail := next((key for key in ("compression-level", "force-compression") if key in options), ""):
        raise RequestError(f"{flag}: {detail} needs compression=", hint="such as compression=zstd")


def _check_gha(flag: str, options: Mapping[str, str]) -> None:
    if "timeout" in options:
        duration(f"{flag}: timeout", options["timeout"])
    # The service separates keys by commas and takes 512 characters, some of which are ours.
    if "," in options.get("scope", "") or len(options.get("scope", "")) > 400:
        raise RequestError(f"{flag}: invalid scope", hint="a scope has no commas and at most 400 characters")


def _check(flag: str, key: str, value: str, known: tuple[str, ...]) -> None:
    if key in _ONLY_TRUE:
        if not boolean(key, value, flag):
            raise RequestError(f"{flag}: {key}={value} is not supported", hint="a cache is an OCI image manifest")
        return
    if key not in known:
        hint = did_you_mean(key, known) or f"there is: {', '.join(known) or 'no option'}"
        raise RequestError(f"{flag}: unknown option {key!r}", hint=hint)
    if key in _SWITCHES:
        boolean(key, value, flag)
    if key in _VALUES and value.lower() not in _VALUES[key]:
        raise RequestError(f"{flag}: invalid {key}={value}", hint=f"use one of {', '.join(_VALUES[key])}")
