"""Flags of ``build`` about caches. Raises RequestError."""

from collections.abc import Mapping

from pybuild.builder.cli.flags.cache_spec import read_from, read_to
from pybuild.builder.cli.flags.group import option
from pybuild.builder.options import duration, is_true
from pybuild.builder.request import CacheSpec, Changes, changes
from pybuild.runtime.values import frozen

_INLINE = "BUILDKIT_INLINE_CACHE"
"""The build argument that asks for ``type=inline``."""


@frozen
class CacheFlags:
    """Flags about caches."""

    cache_from: tuple[str, ...] = option(
        "--cache-from",
        multiple=True,
        metavar="SPEC",
        help="External cache to read: type=registry,ref=NAME or just NAME, type=local,src=DIR, type=gha. Repeatable.",
    )
    cache_to: tuple[str, ...] = option(
        "--cache-to",
        multiple=True,
        metavar="SPEC",
        help="External cache to write: type=registry,ref=NAME, type=local,dest=DIR, type=gha or type=inline. "
        "mode=max adds intermediate steps, mounts=true cache mounts. Repeatable.",
    )
    no_cache_filter: tuple[str, ...] = option(
        "--no-cache-filter",
        multiple=True,
        metavar="STAGE[,STAGE]",
        help="Do not use the cache for these stages; repeatable.",
    )
    cache_ttl: str | None = option(
        "--cache-ttl",
        metavar="DURATION",
        help="Do not use cached layers older than this, such as 24h or 90m.",
    )

    def request(self, build_args: Mapping[str, str]) -> Changes:
        """Return the part of a request that these flags, and one of *build_args*, make."""
        return changes(
            cache_from=read_from(self.cache_from),
            cache_to=(*read_to(self.cache_to), *inline_cache(build_args)),
            no_cache_filter=tuple(name for item in self.no_cache_filter for name in item.split(",") if name),
            cache_ttl=None if self.cache_ttl is None else duration("--cache-ttl", self.cache_ttl),
        )


def inline_cache(build_args: Mapping[str, str]) -> tuple[CacheSpec, ...]:
    """Return the inline cache if the build argument BUILDKIT_INLINE_CACHE is true, else nothing."""
    if not is_true(build_args.get(_INLINE, "")):
        return ()
    from pybuild.builder.caches.places import InlineCache

    return (InlineCache(),)
