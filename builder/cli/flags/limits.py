"""Flags of ``build`` about the limits of a build and of its RUN steps. Raises RequestError."""

from collections.abc import Mapping

from pybuild.builder.cli.flags.group import option
from pybuild.builder.errors import RequestError
from pybuild.builder.options import duration, record, size_of
from pybuild.builder.request import Changes, Resources, changes
from pybuild.builder.request.limits import UNLIMITED, numbers
from pybuild.runtime.values import frozen

_KEYS = (
    *("memory", "memory-swap", "cpu-period", "cpu-quota", "cpu-shares", "pids"),
    *("cpuset-cpus", "cpuset-mems"),
)


@frozen
class LimitFlags:
    """Flags about the limits of a build and of its RUN steps."""

    shm_size: str | None = option(
        "--shm-size",
        empty=True,
        metavar="SIZE",
        help="Size of /dev/shm in RUN steps (default: 64m).",
    )
    ulimits: tuple[str, ...] = option(
        "--ulimit",
        empty=True,
        multiple=True,
        metavar="NAME=SOFT[:HARD]",
        help="Ulimit of RUN steps, such as nofile=1024:2048; repeatable.",
    )
    memory: str | None = option(
        "-m",
        "--memory",
        metavar="SIZE",
        help="Memory limit of each RUN step.",
    )
    memory_swap: str | None = option(
        "--memory-swap",
        metavar="SIZE",
        help="Limit of memory plus swap of each RUN step; -1 means unlimited swap.",
    )
    cpu_shares: str | None = option(
        "-c",
        "--cpu-shares",
        metavar="NUMBER",
        help="CPU shares: relative weight of each RUN step (default: 1024).",
    )
    cpu_period: str | None = option(
        "--cpu-period",
        metavar="MICROSECONDS",
        help="Length of a CPU CFS period (default: 100000).",
    )
    cpu_quota: str | None = option(
        "--cpu-quota",
        metavar="MICROSECONDS",
        help="CPU time that each RUN step may use in a period.",
    )
    cpuset_cpus: str | None = option(
        "--cpuset-cpus",
        metavar="LIST",
        help="CPUs on which RUN steps may run, such as 0-3 or 0,1.",
    )
    cpuset_mems: str | None = option(
        "--cpuset-mems",
        metavar="LIST",
        help="Memory nodes (MEMs) that RUN steps may use, such as 0-3 or 0,1.",
    )
    cgroup_parent: str | None = option(
        "--cgroup-parent",
        metavar="PATH",
        help="Parent cgroup of the RUN steps.",
    )
    resources: tuple[str, ...] = option(
        "--resource",
        multiple=True,
        metavar="KEY=VALUE,...",
        help="Limits of each RUN step: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, "
        "cpuset-mems or pids.",
    )

    timeout: str | None = option(
        "--timeout",
        metavar="DURATION",
        help="End the build when it takes longer than this, such as 10m or 1h30m; the exit code is 1.",
    )
    step_timeout: str | None = option(
        "--step-timeout",
        metavar="DURATION",
        help="Kill the command of a RUN step that takes longer than this; the build fails. Time that the step waits "
        "before its command starts does not count.",
    )

    def request(self) -> Changes:
        """Return the part of a request that these flags make; the last one of a key counts."""
        given = {key: value for key in _KEYS if (value := getattr(self, key.replace("-", "_"), None)) is not None}
        for text in self.resources:
            given |= record(text, "--resource")
        for key in given:
            if key not in _KEYS:
                raise RequestError(f"limit {key!r} is not supported", hint=f"use one of {', '.join(_KEYS)}")
        found = Resources(
            shm_size=size_of("--shm-size", self.shm_size),
            ulimits=tuple(map(_ulimit, self.ulimits)),
            memory=_size_of("memory", given),
            memory_swap=-1 if given.get("memory-swap") == "-1" else _size_of("memory-swap", given),
            cpu_shares=_number("cpu-shares", given),
            cpu_period=_number("cpu-period", given),
            cpu_quota=_number("cpu-quota", given),
            cpuset_cpus=_list("cpuset-cpus", given),
            cpuset_mems=_list("cpuset-mems", given),
            pids=_number("pids", given),
            cgroup_parent=self.cgroup_parent or "",
        )
        return changes(
            resources=found,
            timeout=_seconds("--timeout", self.timeout),
            step_timeout=_seconds("--step-timeout", self.step_timeout),
        )


def _seconds(flag: str, given: str | None) -> float | None:
    return None if given is None else duration(flag, given)


def _size_of(key: str, given: Mapping[str, str]) -> int | None:
    # Zero is a limit that is not given, here and below: scripts for Docker write it for "none".
    return size_of(key, given.get(key)) or None


def _number(key: str, given: Mapping[str, str]) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 12:
        raise RequestError(f"invalid {key} {value!r}: expected a number")
    return int(value) or None


def _list(key: str, given: Mapping[str, str]) -> str:
    if key not in given:
        return ""
    numbers(key, given[key])
    return given[key]


def _ulimit(item: str) -> tuple[str, int, int]:
    name, equals, values = item.partition("=")
    if not equals:
        raise RequestError(f"invalid ulimit argument: {item}", hint="write it as nofile=1024:2048")
    soft, colon, hard = values.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError as error:
        raise RequestError(f"invalid ulimit argument: {item}", hint="write it as nofile=1024:2048") from error
    return name, low % (UNLIMITED + 1), high % (UNLIMITED + 1)
