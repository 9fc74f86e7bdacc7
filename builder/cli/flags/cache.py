"""Flags of ``build`` about caches. Raises RequestError."""

from collections.abc import Mapping

import click

from pybuild.builder.cli.flags.build import duration
from pybuild.builder.cli.flags.cache_spec import read_from, read_to
from pybuild.builder.cli.flags.group import group
from pybuild.builder.options import is_true
from pybuild.builder.request import CacheSpec
from pybuild.runtime.values import frozen

_INLINE = "BUILDKIT_INLINE_CACHE"
"""The build argument that asks for ``type=inline``."""


@frozen
class CacheFlags:
    """What these flags ask for."""

    cache_from: tuple[CacheSpec, ...] = ()
    cache_to: tuple[CacheSpec, ...] = ()
    no_cache_filter: tuple[str, ...] = ()
    cache_ttl: float | None = None


def read_cache(
    *,
    cache_from: tuple[str, ...],
    cache_to: tuple[str, ...],
    no_cache_filter: tuple[str, ...],
    cache_ttl: str | None,
) -> CacheFlags:
    """Return what these flags ask for."""
    return CacheFlags(
        cache_from=read_from(cache_from),
        cache_to=read_to(cache_to),
        no_cache_filter=tuple(name for item in no_cache_filter for name in item.split(",") if name),
        cache_ttl=None if cache_ttl is None else duration("--cache-ttl", cache_ttl),
    )


cache_flags = group(
    "cache",
    read_cache,
    click.option(
        "--cache-from",
        multiple=True,
        metavar="SPEC",
        help="External cache to read: type=registry,ref=NAME or just NAME, type=local,src=DIR, type=gha. Repeatable.",
    ),
    click.option(
        "--cache-to",
        multiple=True,
        metavar="SPEC",
        help="External cache to write: type=registry,ref=NAME, type=local,dest=DIR, type=gha or type=inline. "
        "mode=max adds intermediate steps, mounts=true cache mounts. Repeatable.",
    ),
    click.option(
        "--no-cache-filter",
        multiple=True,
        metavar="STAGE[,STAGE]",
        help="Do not use the cache for these stages; repeatable.",
    ),
    click.option(
        "--cache-ttl", metavar="DURATION", help="Do not use cached layers older than this, such as 24h or 90m."
    ),
)
"""Adds these flags to a command, which gets what they ask for as ``cache``."""


def inline_cache(build_args: Mapping[str, str]) -> tuple[CacheSpec, ...]:
    """Return the cache that a build argument asks for."""
    if not is_true(build_args.get(_INLINE, "")):
        return ()
    from pybuild.builder.caches.places import InlineCache

    return (InlineCache(),)
