"""The files of control groups, and their contents, for limits: in cgroup v2 and in v1."""

from collections.abc import Iterator

from pybuild.runtime.sandbox.spec import ResourceLimits

_PERIOD = 100_000
"""The kernel's default period of a processor quota, in microseconds."""
_SHARES = range(2, 262_145)
"""The values of cpu.shares (v1); those of cpu.weight (v2) are 1 to 10,000."""
_FLAGS_BY_FILE = {
    "memory.low": "memory-reservation",
    "memory.soft_limit_in_bytes": "memory-reservation",
    "memory.swappiness": "memory-swappiness",
    "memory.oom_control": "oom-kill-disable",
    "io.weight": "blkio-weight",
    "blkio.weight": "blkio-weight",
}
OWN_PROCESSES = 2
"""The processes of a sandbox that are ours, the keeper and the guard. A limit of processes is for the others."""
_SWAP = ("memory.swap.max", "memory.memsw.limit_in_bytes")


def limit_of(name: str) -> str:
    """Return the name of the flag that sets the limit in the file *name*."""
    if name in _SWAP:
        return "memory-swap"
    if name in _FLAGS_BY_FILE:
        return _FLAGS_BY_FILE[name]
    if name == "io.max" or name.startswith("blkio.throttle."):
        return "device-read and device-write"
    if name.startswith("cpu."):
        return "cpu-shares" if name in {"cpu.weight", "cpu.shares"} else "cpu-quota"
    return name.replace(".", "-") if name.startswith("cpuset.") else name.partition(".")[0]


def settings(limits: ResourceLimits, *, unified: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (controller, file, content) for each limit, in an order that the kernel accepts.

    In v1 the limit on memory and swap together may not be lower than that on memory, and is set after it.
    """
    if limits.memory is not None:
        yield "memory", "memory.max" if unified else "memory.limit_in_bytes", str(limits.memory)
    if limits.memory_swap is not None:
        yield "memory", *_swap(limits.memory_swap, limits.memory or 0, unified=unified)
    yield from _more_memory(limits, unified=unified)
    if limits.pids is not None:
        yield "pids", "pids.max", "max" if limits.pids == -1 else str(limits.pids + OWN_PROCESSES)
    if limits.cpu_shares is not None:
        shares = min(max(limits.cpu_shares, _SHARES[0]), _SHARES[-1])
        yield "cpu", *(("cpu.weight", str(_weight(shares))) if unified else ("cpu.shares", str(shares)))
    if limits.cpu_quota is not None:
        yield from _quota(limits.cpu_quota, limits.cpu_period or _PERIOD, unified=unified)
    if limits.nano_cpus is not None:
        yield from _quota(limits.nano_cpus * _PERIOD // 1_000_000_000, _PERIOD, unified=unified)
    if limits.blkio_weight is not None:
        weight = 1 + (limits.blkio_weight - 10) * 9999 // 990  # from 10..1,000 of v1 to 1..10,000 of v2, as runc
        yield (
            ("io", "io.weight", f"default {weight}") if unified else ("blkio", "blkio.weight", f"{limits.blkio_weight}")
        )
    yield from _throttles(limits, unified=unified)
    if limits.cpuset_cpus:
        yield "cpuset", "cpuset.cpus", limits.cpuset_cpus
    if limits.cpuset_mems:
        yield "cpuset", "cpuset.mems", limits.cpuset_mems


_UNIFIED = {"read_bps": "rbps", "write_bps": "wbps", "read_iops": "riops", "write_iops": "wiops"}


def _throttles(limits: ResourceLimits, *, unified: bool) -> Iterator[tuple[str, str, str]]:
    for kind, device, number, _ in limits.throttles:
        if unified:
            yield "io", "io.max", f"{device} {_UNIFIED[kind]}={number}"
        else:
            yield "blkio", f"blkio.throttle.{kind}_device", f"{device} {number}"


def _more_memory(limits: ResourceLimits, *, unified: bool) -> Iterator[tuple[str, str, str]]:
    if limits.memory_reservation is not None:
        yield "memory", "memory.low" if unified else "memory.soft_limit_in_bytes", str(limits.memory_reservation)
    # cgroup v2 has neither, so these limits are reported as not kept there.
    if limits.swappiness is not None and not unified:
        yield "memory", "memory.swappiness", str(limits.swappiness)
    if limits.oom_kill_disable and not unified:
        yield "memory", "memory.oom_control", "1"


def limits_asked(limits: ResourceLimits) -> tuple[str, ...]:
    """Return the names of the flags whose limits are set, each once."""
    return tuple(dict.fromkeys(limit_of(name) for _, name, _ in settings(limits, unified=False)))


def _swap(both: int, memory: int, *, unified: bool) -> tuple[str, str]:
    if unified:  # where swap is limited alone, without the memory
        return _SWAP[0], "max" if both == -1 else str(both - memory)
    return _SWAP[1], str(both)


def _weight(shares: int) -> int:
    """Return the weight of v2 for *shares* of v1, by the formula that other container runtimes use."""
    return 1 + (shares - _SHARES[0]) * 9999 // (_SHARES[-1] - _SHARES[0])


def _quota(quota: int, period: int, *, unified: bool) -> Iterator[tuple[str, str, str]]:
    if unified:
        yield "cpu", "cpu.max", f"{quota} {period}"
    else:
        yield "cpu", "cpu.cfs_period_us", str(period)
        yield "cpu", "cpu.cfs_quota_us", str(quota)
