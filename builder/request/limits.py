"""What the limits of steps must be. Every function raises RequestError, with the message of the command line."""

from typing import TYPE_CHECKING

from pybuild.builder.errors import RequestError

if TYPE_CHECKING:
    from pybuild.builder.request.values import Resources

_ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"),
    *("rtprio", "rttime", "sigpending", "stack"),
)
UNLIMITED = 2**64 - 1
"""A ulimit that is none: RLIM_INFINITY."""
_MAX_SIZE, _MAX_NUMBER = 2**63 - 1, 10**12 - 1


def check(resources: "Resources") -> None:
    """Check all limits."""
    _size("--shm-size", resources.shm_size)
    _size("memory", resources.memory)
    _size("memory-swap", None if resources.memory_swap == -1 else resources.memory_swap)
    for name in ("cpu_shares", "cpu_period", "cpu_quota", "pids"):
        _number(name.replace("_", "-"), getattr(resources, name))
    for name in ("cpuset_cpus", "cpuset_mems"):
        if listed := getattr(resources, name):
            numbers(name.replace("_", "-"), listed)
    _group(resources.cgroup_parent)
    for name, soft, hard in resources.ulimits:
        _ulimit(name, soft, hard)
    _swap(resources.memory_swap, resources.memory)


def _size(name: str, size: int | None) -> None:
    if size is not None and not 0 <= size <= _MAX_SIZE:
        raise RequestError(f'invalid {name}: invalid size: "{size}"', hint="write it as 512m or 20g")


def _number(name: str, number: int | None) -> None:
    if number is not None and not 0 <= number <= _MAX_NUMBER:
        raise RequestError(f"invalid {name} '{number}': expected a number")


def numbers(name: str, text: str) -> None:
    """Check a list of CPUs or memory nodes."""
    if not text or set(text) - set("0123456789,-"):
        raise RequestError(f"invalid {name} {text!r}", hint="write it as 0-3 or 0,1")


def _group(path: str) -> None:
    if ".." in path.split("/"):
        raise RequestError(f"invalid --cgroup-parent {path!r}", hint="write it as the path of a group: /builds")


def _ulimit(name: str, soft: int, hard: int) -> None:
    if name not in _ULIMITS:
        raise RequestError(f"invalid ulimit type: {name}", hint=f"use one of {', '.join(_ULIMITS)}")
    if not (0 <= soft <= UNLIMITED and 0 <= hard <= UNLIMITED):
        raise RequestError(f"invalid ulimit argument: {name}={soft}:{hard}", hint="2**64 - 1 is no limit")
    if soft > hard:
        # In Docker's message an unlimited value is -1.
        low = -1 if soft == UNLIMITED else soft
        raise RequestError(f"ulimit soft limit must be less than or equal to hard limit: {low} > {hard}")


def _swap(swap: int | None, memory: int | None) -> None:
    if swap is not None and swap != -1 and (memory is None or swap < memory):
        raise RequestError(
            "minimum memory-swap limit should be larger than memory limit",
            hint="memory-swap is the sum of memory and swap",
        )
