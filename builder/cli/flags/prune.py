"""Flags of ``prune`` about the build cache, spelled as Docker's buildx has them. Raises RequestError."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from pybuild.builder.cli.flags.build import duration
from pybuild.builder.errors import RequestError
from pybuild.builder.prune.eviction import CACHE_MOUNT, REGULAR, Policy
from pybuild.grammar.golang import parse_size

_KINDS = (REGULAR, CACHE_MOUNT)
_SIZES = ("reserved-space", "max-used-space", "min-free-space")


def prune_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags to a command."""
    options = (
        click.option(
            *("--filter", "filters"),
            multiple=True,
            metavar="until=24h|type=KIND",
            help="Only cache not used for so long, or of a kind: regular, exec.cachemount.",
        ),
        click.option("--reserved-space", metavar="SIZE", help="Keep this much of the cache in any case."),
        click.option("--max-used-space", metavar="SIZE", help="Make the cache smaller than this, oldest use first."),
        click.option("--min-free-space", metavar="SIZE", help="Make this much free on the disk, oldest use first."),
        click.option("--keep-storage", metavar="SIZE", help="The older name of --reserved-space."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def policy(flags: Mapping[str, Any]) -> Policy:
    """Return what the flags ask for."""
    given = {name: _size(name, flags[name.replace("-", "_")]) for name in (*_SIZES, "keep-storage")}
    kept, older = given["reserved-space"], given["keep-storage"]
    return Policy(
        **_filters(flags["filters"]),
        reserved_space=older if kept is None else kept,
        max_used_space=given["max-used-space"],
        min_free_space=given["min-free-space"],
    )


def _size(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise RequestError(f"invalid --{name}: {error}", hint="write it as 512m or 20g") from error


def _filters(filters: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in filters:
        key, _, value = item.partition("=")
        if key == "type":
            if value not in _KINDS:
                raise RequestError(f"--filter: there is no type {value!r}", hint=f"use one of {', '.join(_KINDS)}")
            found["kind"] = value
        elif key == "until":
            found["until"] = duration("--filter until", value)
        else:
            raise RequestError(f"--filter: {key!r} is not supported", hint="use until=24h or type=exec.cachemount")
    return found
