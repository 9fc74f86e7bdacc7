"""``stats``: the resources that a container uses, as its control groups count them."""

import os
from pathlib import Path

from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.joining import shares_processes
from pybuild.builder.containers.recovery import groups_parent
from pybuild.runtime.sandbox.cgroup_settings import OWN_PROCESSES
from pybuild.runtime.sandbox.lasting_groups import group_directories
from pybuild.runtime.values import positional

# With cgroups of version 1 no limit is a number just below 2**63.
_NO_LIMIT = 1 << 62
_MEMORY = ("memory.current", "memory.usage_in_bytes")
_LIMITS = ("memory.max", "memory.limit_in_bytes")


@positional
class Usage:
    """The resource usage of a container.

    *cpu* is in nanoseconds of all processors together; *memory*, *limit*, and what was *read* from disks and *written*
    to them, in bytes; *processes* is a number.
    """

    cpu: int = 0
    memory: int = 0
    limit: int = 0
    processes: int = 0
    read: int = 0
    written: int = 0


def usage(container: StoredContainer) -> Usage | None:
    """Return the usage of *container* now; None when it does not run, or has no control group."""
    groups = group_directories(container.id, groups_parent(container))
    if not container.state.runs or not groups:
        return None
    memory = max(0, _first(groups, _MEMORY) - _cache(groups))
    limit = _first(groups, _LIMITS)
    read, written = _disks(groups)
    return Usage(
        # Version 1 counts nanoseconds, version 2 microseconds.
        cpu=_first(groups, ("cpuacct.usage",)) or 1000 * _field(groups, "cpu.stat", "usage_usec"),
        memory=memory,
        limit=limit if 0 < limit < _NO_LIMIT else _host_memory(),
        processes=max(0, _first(groups, ("pids.current",)) - OWN_PROCESSES),
        read=read,
        written=written,
    )


def processes_of(container: StoredContainer) -> frozenset[int]:
    """Return the numbers, in our PID namespace, of the processes of *container*."""
    state = container.state
    if not shares_processes(container.config.host.namespaces):
        return state.processes()
    # It has control groups, without which it would not have started. The two processes of ours above its first one
    # belong to them, too.
    text = _text(group_directories(container.id, groups_parent(container)), "cgroup.procs")
    above = _parent(state.pid)
    return frozenset(map(int, text.split())) - {above, _parent(above)}


def _parent(number: int) -> int:
    try:
        status = Path(f"/proc/{number}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return 0
    return int(status.partition("\nPPid:")[2].split()[0])


def _text(groups: tuple[Path, ...], name: str) -> str:
    for group in groups:
        try:
            return (group / name).read_text(encoding="ascii")
        except OSError:  # the file belongs to another controller, or to the other version of cgroups
            continue
    return ""


def _first(groups: tuple[Path, ...], names: tuple[str, ...]) -> int:
    for name in names:
        text = _text(groups, name).strip()
        if text.isdigit():
            return int(text)
    return 0


def _field(groups: tuple[Path, ...], name: str, *keys: str) -> int:
    for line in _text(groups, name).splitlines():
        key, _, value = line.partition(" ")
        if key in keys and value.isdigit():
            return int(value)
    return 0


def _cache(groups: tuple[Path, ...]) -> int:
    """Return the bytes that ``docker stats`` subtracts from the memory: file pages that were not used recently."""
    return _field(groups, "memory.stat", "total_inactive_file") or _field(groups, "memory.stat", "inactive_file")


def _disks(groups: tuple[Path, ...]) -> tuple[int, int]:
    read = written = 0
    for line in _text(groups, "io.stat").splitlines():
        fields = dict(field.split("=") for field in line.split()[1:] if "=" in field)
        read, written = read + int(fields.get("rbytes", 0)), written + int(fields.get("wbytes", 0))
    for line in _text(groups, "blkio.throttle.io_service_bytes").splitlines():
        words = line.split()
        if len(words) == 3:
            read += int(words[2]) if words[1] == "Read" else 0
            written += int(words[2]) if words[1] == "Write" else 0
    return read, written


def _host_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
