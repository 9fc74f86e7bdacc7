"""Flags of ``build`` about the limits of RUN steps. Raises RequestError."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import click

from pybuild.builder.errors import RequestError
from pybuild.builder.options import record
from pybuild.builder.request import Resources
from pybuild.grammar.golang import parse_size

_SIZES = ("memory", "memory-swap")
_NUMBERS = ("cpu-period", "cpu-quota", "cpu-shares", "pids")
_LISTS = ("cpuset-cpus", "cpuset-mems")
_KEYS = (*_SIZES, *_NUMBERS, *_LISTS)
_ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"),
    *("rtprio", "rttime", "sigpending", "stack"),
)
_UNLIMITED = 2**64 - 1
_FLAGS = (
    ("memory", "SIZE", "Memory of each step."),
    ("memory-swap", "SIZE", "Memory and swap of each step together; -1 is no limit."),
    ("cpu-shares", "NUMBER", "Weight of each step for processors, 1024 being that of others."),
    ("cpu-period", "MICROSECONDS", "Time to which --cpu-quota refers (default: 100000)."),
    ("cpu-quota", "MICROSECONDS", "Processor time of each step in each period."),
    ("cpuset-cpus", "LIST", "Processors of each step: 0-3 or 0,1."),
    ("cpuset-mems", "LIST", "Memory nodes of each step."),
)
_SHORT = {"memory": ("-m",), "cpu-shares": ("-c",)}


def limit_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags to a command."""
    keyed = (click.option(*_SHORT.get(key, ()), f"--{key}", metavar=kind, help=text) for key, kind, text in _FLAGS)
    options = (
        click.option("--shm-size", metavar="SIZE", help="Size of /dev/shm in steps (default: 64m)."),
        click.option("--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="Limit of processes."),
        *keyed,
        click.option("--cgroup-parent", metavar="PATH", help="Control group to make those of steps in."),
        click.option(
            *("--resource", "resources"),
            multiple=True,
            metavar="KEY=VALUE,...",
            help="Limits of each step: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, "
            "cpuset-mems or pids.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def limit_values(flags: Mapping[str, Any]) -> Resources:
    """Return the limits that these flags set."""
    limits: dict[str, Any] = {key.replace("-", "_"): _limit(key, value) for key, value in _given(flags)}
    swap, memory = limits.get("memory_swap"), limits.get("memory")
    if swap not in {None, -1} and (memory is None or swap < memory):
        raise RequestError("minimum memory-swap limit should be larger than memory limit", hint="it counts both")
    resources = Resources(ulimits=_ulimits(flags["ulimits"]), cgroup_parent=_group(flags["cgroup_parent"]), **limits)
    if flags["shm_size"] is None:
        return resources
    return replace(resources, shm_size=_size("--shm-size", flags["shm_size"]))


def _given(flags: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, _, _ in _FLAGS:
        value = flags[key.replace("-", "_")]
        if value is not None:
            yield key, value
    for text in flags["resources"]:
        yield from record(text, "--resource").items()


def _limit(key: str, value: str) -> int | str:
    if key == "memory-swap" and value == "-1":
        return -1
    if key in _SIZES:
        return _size(key, value)
    if key in _NUMBERS:
        if not (value.isascii() and value.isdigit()) or len(value) > 12:
            raise RequestError(f"invalid {key} {value!r}: expected a number")
        return int(value)
    if key in _LISTS:
        if not value or set(value) - set("0123456789,-"):
            raise RequestError(f"invalid {key} {value!r}", hint="write it as 0-3 or 0,1")
        return value
    raise RequestError(f"limit {key!r} is not supported", hint=f"use one of {', '.join(_KEYS)}")


def _size(name: str, text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise RequestError(f"invalid {name}: {error}", hint="write it as 512m or 2g") from error


def _group(path: str | None) -> str:
    path = path or ""
    if ".." in path.split("/") or "\0" in path:
        raise RequestError(f"invalid --cgroup-parent {path!r}", hint="write it as the path of a group: /builds")
    return path


def _ulimits(given: Iterable[str]) -> tuple[tuple[str, int, int], ...]:
    return tuple(_ulimit(item) for item in given)


def _ulimit(item: str) -> tuple[str, int, int]:
    name, equals, values = item.partition("=")
    if not equals:
        raise RequestError(f"invalid ulimit argument: {item}", hint="write it as nofile=1024:2048")
    if name not in _ULIMITS:
        raise RequestError(f"invalid ulimit type: {name}", hint=f"use one of {', '.join(_ULIMITS)}")
    soft, colon, hard = values.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError as error:
        raise RequestError(f"invalid ulimit argument: {item}", hint="write it as nofile=1024:2048") from error
    if high != -1 and (low == -1 or low > high):
        raise RequestError(f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}")
    return name, low % (_UNLIMITED + 1), high % (_UNLIMITED + 1)
