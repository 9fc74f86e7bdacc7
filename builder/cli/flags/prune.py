"""Flags of ``prune`` about the build cache, spelled as Docker's buildx has them. Raises RequestError."""

from pybuild.builder.cli.flags.group import option
from pybuild.builder.errors import RequestError
from pybuild.builder.options import duration, size_of
from pybuild.builder.prune.policy import CACHE_MOUNT, REGULAR, Policy
from pybuild.runtime.values import frozen

_KINDS = (REGULAR, CACHE_MOUNT)


@frozen
class PruneFlags:
    """Flags about the build cache."""

    filters: tuple[str, ...] = option(
        "--filter",
        multiple=True,
        metavar="until=24h|type=KIND",
        help="Remove only cache that was not used for this time, or of one kind: regular or exec.cachemount.",
    )
    reserved_space: str | None = option(
        "--reserved-space",
        metavar="SIZE",
        help="Amount of cache that is always kept.",
    )
    max_used_space: str | None = option(
        "--max-used-space",
        metavar="SIZE",
        help="Shrink the cache to this size; least recently used cache goes first.",
    )
    min_free_space: str | None = option(
        "--min-free-space",
        metavar="SIZE",
        help="Remove cache until this much of the disk is free; least recently used cache goes first.",
    )
    keep_storage: str | None = option(
        "--keep-storage",
        metavar="SIZE",
        help="Deprecated name of --reserved-space.",
    )

    def policy(self) -> Policy:
        """Return the limits that these flags ask for."""
        found = dict(map(_filter, self.filters))
        older = size_of("--keep-storage", self.keep_storage)
        kept = size_of("--reserved-space", self.reserved_space)
        return Policy(
            kind=_kind(found.get("type", "")),
            until=duration("--filter until", found["until"]) if "until" in found else None,
            reserved_space=older if kept is None else kept,
            max_used_space=size_of("--max-used-space", self.max_used_space),
            min_free_space=size_of("--min-free-space", self.min_free_space),
        )


def _filter(item: str) -> tuple[str, str]:
    key, _, value = item.partition("=")
    if key not in {"type", "until"}:
        raise RequestError(f"--filter: {key!r} is not supported", hint="use until=24h or type=exec.cachemount")
    return key, value


def _kind(value: str) -> str:
    if value not in {"", *_KINDS}:
        raise RequestError(f"--filter: there is no type {value!r}", hint=f"use one of {', '.join(_KINDS)}")
    return value
