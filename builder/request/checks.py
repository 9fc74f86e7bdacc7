"""What the values of a request must be. Every function raises RequestError, with the message of the command line."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from pathlib import PurePath, PurePosixPath
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pybuild.builder.errors import RequestError
from pybuild.runtime.values import fields

if TYPE_CHECKING:
    from pybuild.builder.request.values import CacheSpec, Target

COMPRESSION_LEVELS: Mapping[str, range] = {"gzip": range(10), "zstd": range(1, 23), "uncompressed": range(0)}
NETWORKS = ("default", "none", "host", "private")
PULL_POLICIES = ("always", "missing", "never", "newer")
LATEST = 253402300799
"""The last second of the year 9999, the last one that a config of an image can have."""
_TOO_LONG = 2**63 / 1e9
"""Seconds that no duration of Go reaches."""
ANNOTATION_KINDS = ("manifest", "index", "manifest-descriptor", "index-descriptor")


def types(value: Any) -> None:
    """Check that each field of a frozen value holds what its annotation says. Messages do not show what it holds.

    No text and no path may have a NUL byte: system calls cannot take it.
    """
    kind: Any = type(value)
    for name, wanted, fits in _fields(kind):
        item = getattr(value, name)
        if not fits(item):
            from pybuild.runtime.introspection import annotation_text, type_text

            raise RequestError(f"invalid {name}: expected {annotation_text(wanted)}, not {type_text(item)}")
        if _has_nul(item):
            raise RequestError(f"invalid {name}: it has a NUL byte")


def _has_nul(item: object) -> bool:
    if isinstance(item, tuple | frozenset):
        return any(map(_has_nul, item))
    return isinstance(item, str | PurePath) and "\0" in str(item)


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any, Callable[[Any], bool]], ...]:
    return tuple((each.name, each.type, _test(each.type)) for each in fields(kind))


def _test(wanted: Any) -> Callable[[Any], bool]:
    """Return a function that checks a value against the annotation *wanted*."""
    if isinstance(wanted, UnionType):
        choices = [_test(choice) for choice in get_args(wanted)]
        return lambda item: any(fits(item) for fits in choices)
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is frozenset or arguments[-1:] == (...,):
        each = _test(arguments[0])
        return lambda item: isinstance(item, origin) and all(map(each, item))
    if origin is tuple:
        parts = [_test(part) for part in arguments]
        return lambda item: (
            isinstance(item, tuple)
            and len(item) == len(parts)
            and all(fits(x) for fits, x in zip(parts, item, strict=True))
        )
    if wanted in {int, float}:
        # A truth value is a number for Python, but not for a user.
        numbers = int if wanted is int else int | float
        return lambda item: isinstance(item, numbers) and not isinstance(item, bool)
    return lambda item: isinstance(item, wanted)


def compression(algorithm: str, level: int | None) -> None:
    """Check an algorithm and its level."""
    if algorithm not in COMPRESSION_LEVELS:
        raise RequestError(f"unsupported compression {algorithm!r}", hint="use gzip, zstd or uncompressed")
    if level is not None and level not in COMPRESSION_LEVELS[algorithm]:
        raise RequestError(f"invalid compression level '{level}' for {algorithm}")


def network(name: str) -> None:
    """Check the name of a network."""
    if name not in NETWORKS:
        raise RequestError(f"network mode {name!r} not supported by pybuild", hint="use default, private, none or host")


def pull(policy: str) -> None:
    """Check a policy of asking registries."""
    if policy not in PULL_POLICIES:
        raise RequestError(f"invalid value for --pull: {policy!r}", hint=f"use one of {', '.join(PULL_POLICIES)}")


def squash(mode: str) -> None:
    """Check what is squashed."""
    if mode not in {"", "new", "all"}:
        raise RequestError(f"invalid squash {mode!r}", hint="use new or all")


def annotation_kind(name: str) -> None:
    """Check what an annotation is of."""
    if name not in ANNOTATION_KINDS:
        raise RequestError(f"unknown annotation type {name!r}", hint=f"use one of {', '.join(ANNOTATION_KINDS)}")


def annotation(kind: str, platform: str, key: str, value: str) -> None:
    """Check the key of an annotation, and that it is of one platform only where there are several."""
    if not key:
        raise RequestError(f"invalid annotation {f'={value}'!r}, expected [KIND:]KEY=VALUE")
    if platform and kind.startswith("index"):
        raise RequestError("an index has no platform", hint=f"use {kind}:{key}={value}")


def variables(flag: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Check names of variables or labels, as (name, value); *flag* is the one that gives them."""
    for name, value in pairs:
        if not name.strip():
            raise RequestError(f"invalid {flag} {f'{name}={value}'!r}: no name before the equals sign")
        if "=" in name:
            raise RequestError(f"invalid {flag} {name!r}: a name cannot have an equals sign")


def epoch(flag: str, seconds: int | None) -> None:
    """Check a time in seconds since 1970, if given; *flag* is the one that gives it."""
    if seconds is not None and not 0 <= seconds <= LATEST:
        raise RequestError(f"invalid {flag} '{seconds}'", hint="write it as seconds since 1970")


def platforms(names: Iterable[str]) -> None:
    """Check names of platforms, in any spelling."""
    for text in names:
        from pybuild.builder.errors import ResolveError
        from pybuild.builder.platforms import parse_platform

        try:
            parse_platform(text)
        except ResolveError as error:
            raise RequestError(f"--platform: {error.message}", hint=error.hint) from error


def tags(names: Iterable[str]) -> None:
    """Check names of images."""
    for tag in names:
        full_name(tag)


def full_name(tag: str) -> str:
    """Return a name that a user gives to an image, spelled in full as the store keeps it."""
    from pybuild.grammar.reference import InvalidReference, parse_reference

    try:
        reference = parse_reference(tag)
    except InvalidReference as error:
        raise RequestError(f'invalid tag "{tag}": {error}') from error
    if reference.digest:
        raise RequestError(f'invalid tag "{tag}": a tag cannot have a digest')
    return str(reference)


def full_names(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return *tags* as full names, each once, in order. Raises RequestError for one that is no valid name."""
    return tuple(dict.fromkeys(full_name(tag) for tag in tags))


def new_name(text: str) -> str:
    """Return the full form of a new name of an image. Raises RequestError for one that looks like a digest."""
    name = full_name(text)
    if text.partition(":")[0] == "sha256":
        raise RequestError("refusing to create an ambiguous tag using digest algorithm as name")
    return name


def secret(name: str, file: PurePath | None, variable: str) -> None:
    """Check the name of a secret, and that it has one source."""
    if not name:
        raise RequestError("invalid --secret: id is required")
    if (file is None) == (not variable):
        what = "both a file and a variable" if variable else "neither a file nor a variable"
        raise RequestError(f"invalid --secret {name!r}: it has {what}")


def targets(targets: "Collection[Target]") -> None:
    """Check that each target is there once."""
    if len({target.stage for target in targets}) < len(targets):
        raise RequestError("duplicate target", hint="give it all names at once: --target STAGE=NAME,NAME")


def stage(name: str) -> None:
    """Check the name of a target."""
    if not name:
        raise RequestError(f"invalid target {name!r}, expected STAGE or STAGE=NAME[:TAG]")


def mount_target(path: PurePosixPath) -> None:
    """Check where something of the host is mounted."""
    if not path.is_absolute() or not str(path).strip("/"):
        raise RequestError(f"invalid target {str(path)!r}: expected an absolute path other than /")


def positive(name: str, number: int | None) -> None:
    """Check a number that is at least one, if given."""
    if number is not None and number < 1:
        raise RequestError(f"invalid {name} {number}: expected at least 1")


def duration(seconds: float | None) -> None:
    """Check a duration, if given."""
    if seconds is not None and not seconds >= 0:
        raise RequestError("--cache-ttl: a duration cannot be negative")


def written(caches: "Iterable[CacheSpec]") -> None:
    """Check that none of the caches to be written is named by its digest."""
    if any(spec.pinned for spec in caches):
        raise RequestError("--cache-to: a cache cannot be written to a digest", hint="use a tag")


def timeout(name: str, seconds: float | None) -> None:
    """Check how long something may take, if given."""
    if seconds is not None and not 0 < seconds < _TOO_LONG:
        raise RequestError(f"invalid {name} of {seconds:g} seconds: expected more than 0 and less than {_TOO_LONG:g}")
