"""Flags about what a container may use. Raises RequestError."""

import os
import re
import stat
from pathlib import Path

from pybuild.builder.cli.flags.group import option, part
from pybuild.builder.cli.flags.limits import LimitFlags
from pybuild.builder.errors import RequestError, reason
from pybuild.builder.options import size_of
from pybuild.builder.request.values import Resources
from pybuild.grammar.parse_go import parse_size
from pybuild.runtime.sandbox.spec import SHM_SIZE, ResourceLimits
from pybuild.runtime.values import frozen, replace

# Docker's minimum (linuxMinMemory), for what the start of a container takes. The kernel has none.
_LEAST_MEMORY = 6 << 20
_THROTTLES = ("read_bps", "write_bps", "read_iops", "write_iops")
_WEIGHTS, _SWAPPINESS = range(10, 1001), range(101)
_PERIODS = range(1000, 1_000_001)
_SHARES = range(2, (1 << 18) + 1)  # of runc
_MOST_CPUS = 1 << 16  # more than any kernel has: a longer list need not be made
_DEVICES = Path("/sys/devices/system")
_OF_BUILDS = (
    *("memory", "memory_swap", "cpu_shares", "cpu_period", "cpu_quota", "cpuset_cpus", "cpuset_mems"),
    *("cgroup_parent", "shm_size", "ulimits"),
)


@frozen
class ChangeableLimitFlags:
    """Limits that ``update`` can change."""

    memory: str | None = option("-m", "--memory", metavar="SIZE", help="Memory limit.")
    memory_swap: str | None = option("--memory-swap", metavar="SIZE", help="Limit of memory plus swap; -1: unlimited.")
    memory_reservation: str | None = option("--memory-reservation", metavar="SIZE", help="Memory soft limit.")
    cpus: str | None = option("--cpus", metavar="NUMBER", help="Number of CPUs, such as 1.5.")
    cpu_shares: str | None = option("-c", "--cpu-shares", metavar="NUMBER", help="CPU shares: relative weight.")
    cpu_period: str | None = option("--cpu-period", metavar="MICROSECONDS", help="Length of a CPU CFS period.")
    cpu_quota: str | None = option("--cpu-quota", metavar="MICROSECONDS", help="CPU time in a period.")
    cpuset_cpus: str | None = option(
        "--cpuset-cpus", metavar="LIST", help="CPUs that the container may use, such as 0-3 or 0,1."
    )
    cpuset_mems: str | None = option(
        "--cpuset-mems", metavar="LIST", help="Memory nodes that the container may use, such as 0-3 or 0,1."
    )
    blkio_weight: int | None = option(
        "--blkio-weight",
        type=int,
        metavar="NUMBER",
        help="Block IO weight (relative), 10 to 1000, or 0 for the default.",
    )
    pids_limit: str | None = option("--pids-limit", metavar="NUMBER", help="Number of processes; -1: unlimited.")

    def limits(self) -> ResourceLimits:
        """Return them as a sandbox has them; those that are not given are None. Raises RequestError."""
        return _limits(self)


@frozen
class ContainerLimitFlags:
    """All limits of a container."""

    changeable: ChangeableLimitFlags = part(ChangeableLimitFlags)
    memory_swappiness: int | None = option(
        "--memory-swappiness", type=int, metavar="PERCENT", help="Swappiness of the container's memory, 0 to 100."
    )
    oom_kill_disable: bool = option(
        "--oom-kill-disable", is_flag=True, help="Let processes wait for memory instead of killing them."
    )
    device_read_bps: tuple[str, ...] = option(
        "--device-read-bps",
        multiple=True,
        metavar="DISK:SIZE",
        help="Maximum read rate from a device, in bytes per second.",
    )
    device_write_bps: tuple[str, ...] = option(
        "--device-write-bps",
        multiple=True,
        metavar="DISK:SIZE",
        help="Maximum write rate to a device, in bytes per second.",
    )
    device_read_iops: tuple[str, ...] = option(
        "--device-read-iops",
        multiple=True,
        metavar="DISK:NUMBER",
        help="Maximum read operations from a device per second.",
    )
    device_write_iops: tuple[str, ...] = option(
        "--device-write-iops",
        multiple=True,
        metavar="DISK:NUMBER",
        help="Maximum write operations to a device per second.",
    )
    shm_size: str | None = option("--shm-size", metavar="SIZE", help="Size of /dev/shm (default: 64m).")
    ulimits: tuple[str, ...] = option(
        "--ulimit",
        multiple=True,
        metavar="NAME=SOFT[:HARD]",
        help="Ulimit of the container, such as nofile=1024:2048; repeatable.",
    )
    cgroup_parent: str | None = option("--cgroup-parent", metavar="PATH", help="Parent cgroup of the container.")

    def check(self) -> None:
        """Raise RequestError for what docker itself refuses, before its daemon."""
        if self.memory_swappiness not in {None, -1, *_SWAPPINESS}:
            raise RequestError(f"invalid value: {self.memory_swappiness}. Valid memory swappiness range is 0-100")

    def limits(self) -> ResourceLimits:
        """Return them as a sandbox has them. Raises RequestError."""
        found = _limits(self.changeable, cgroup_parent=self.cgroup_parent, ulimits=self.ulimits, shm_size=self.shm_size)
        swappiness = None if self.memory_swappiness == -1 else self.memory_swappiness
        self.check()
        return replace(
            found,
            # As in Docker, there is as much swap as memory unless something else is said.
            memory_swap=2 * found.memory if found.memory and found.memory_swap is None else found.memory_swap,
            shm_size=found.shm_size or SHM_SIZE,
            swappiness=swappiness,
            throttles=tuple(_throttle(kind, text) for kind in _THROTTLES for text in getattr(self, f"device_{kind}")),
            oom_kill_disable=self.oom_kill_disable,
        )


def _limits(given: ChangeableLimitFlags, **others: object) -> ResourceLimits:
    boundless = bool(given.pids_limit and re.fullmatch(r"-[0-9]+", given.pids_limit))
    pids = None if boundless or given.pids_limit in {None, "0"} else given.pids_limit
    flags = {name: others.get(name, getattr(given, name, None)) for name in _OF_BUILDS}
    flags = {name: value for name, value in flags.items() if value is not None}
    resources = () if pids is None else (f"pids={pids}",)
    asked = LimitFlags(**flags, resources=resources).request()["resources"]  # type: ignore[arg-type]
    if not isinstance(asked, Resources):
        raise TypeError(type(asked))
    weight = given.blkio_weight or None
    if weight is not None and weight not in _WEIGHTS:
        raise RequestError("Range of blkio weight is from 10 to 1000")
    reservation = size_of("memory-reservation", given.memory_reservation) or None
    _check_memory(asked.memory, reservation)
    _check_processors(asked)
    if asked.cpu_period and asked.cpu_period not in _PERIODS:
        raise RequestError("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    return ResourceLimits(
        shm_size=asked.shm_size,
        ulimits=asked.ulimits,
        memory=asked.memory,
        memory_swap=asked.memory_swap,
        memory_reservation=reservation,
        nano_cpus=_nano_cpus(given),
        cpu_quota=asked.cpu_quota,
        cpu_period=asked.cpu_period,
        cpu_shares=asked.cpu_shares,
        cpuset_cpus=asked.cpuset_cpus,
        cpuset_mems=asked.cpuset_mems,
        cgroup_parent=asked.cgroup_parent,
        blkio_weight=weight,
        pids=-1 if boundless else asked.pids,
    )


def _throttle(kind: str, text: str) -> tuple[str, str, int, str]:
    path, _, rate = text.rpartition(":")
    try:
        number = parse_size(rate) if kind.endswith("bps") else int(rate)
    except ValueError:
        number = 0
    if not path.startswith("/dev/") or number <= 0:
        raise RequestError(f"bad format: {text}", hint="write it as /dev/sda:10mb, or /dev/sda:100 for operations")
    try:
        found = os.stat(path)
    except OSError as error:
        raise RequestError(reason(error), hint="name a disk of the host") from error
    if not stat.S_ISBLK(found.st_mode):
        raise RequestError(f"{path} is no block device", hint="name a disk of the host")
    return kind, f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}", number, path


def _check_memory(memory: int | None, reservation: int | None) -> None:
    if memory is not None and memory < _LEAST_MEMORY:
        raise RequestError("Minimum memory limit allowed is 6MB")
    if reservation is not None and reservation < _LEAST_MEMORY:
        raise RequestError("Minimum memory reservation allowed is 6MB")
    if memory is not None and reservation is not None and memory < reservation:
        raise RequestError("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_processors(asked: Resources) -> None:
    """Raise RequestError for limits that dockerd refuses, or runc, from numbers that this host does not have."""
    if asked.cpu_quota and asked.cpu_quota < _PERIODS.start:
        raise RequestError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if asked.cpu_shares and asked.cpu_shares < _SHARES.start:
        raise RequestError(f"the minimum allowed cpu-shares is {_SHARES.start}")
    if asked.cpu_shares and asked.cpu_shares >= _SHARES.stop:
        raise RequestError(f"the maximum allowed cpu-shares is {_SHARES.stop - 1}")
    for what, word, asked_for, path in (
        ("CPUs", "cpus", asked.cpuset_cpus, "cpu"),
        ("memory nodes", "mems", asked.cpuset_mems, "node"),
    ):
        wanted = _listed(asked_for)
        if asked_for and not wanted:
            raise RequestError(f"Invalid value {asked_for} for cpuset {word}: invalid format: {asked_for}")
        there = _online(path)
        if there and not wanted <= _listed(there):
            raise RequestError(f"Requested {what} are not available - requested {asked_for}, available: {there}")


def _online(what: str) -> str:
    """Return the list of CPUs or memory nodes of this host, "" when it does not tell."""
    try:
        return (_DEVICES / what / "online").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _listed(text: str) -> set[int]:
    """Return the numbers of a list such as ``0-3,5``; none when it is invalid."""
    found: set[int] = set()
    for part_of_it in text.split(","):
        first, dash, last = part_of_it.partition("-")
        if not (first.isdigit() and (last.isdigit() or not dash)) or int(last or first) < int(first):
            return set()
        if int(last or first) > _MOST_CPUS:
            return {_MOST_CPUS}
        found.update(range(int(first), int(last or first) + 1))
    return found


def _nano_cpus(given: ChangeableLimitFlags) -> int | None:
    if given.cpus is None:
        return None
    if given.cpu_quota or given.cpu_period:
        raise RequestError("conflicting options: Nano CPUs and CPU quota cannot both be set")
    try:
        number = float(given.cpus)
    except ValueError:
        number = -1.0
    if number == 0:
        return None
    if not 0 <= number < 1_000_000:
        raise RequestError(f"invalid --cpus {given.cpus!r}", hint="write it as 1.5")
    if len(given.cpus.partition(".")[2]) > 9:
        raise RequestError(f'invalid argument "{given.cpus}" for "--cpus" flag: value is too precise')
    there = len(os.sched_getaffinity(0))
    if not 0.01 <= number <= there:
        raise RequestError(f"range of CPUs is from 0.01 to {there}.00, as there are only {there} CPUs available")
    return round(number * 1_000_000_000)
