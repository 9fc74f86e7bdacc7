"""Memory, CPU and process limits by control groups, as far as this host lets the builder make groups.

Best effort by design: a build never fails because cgroups are missing. A group lives as long as one sandbox; what a
killed builder leaves behind is an empty group, and the next builder that makes one removes it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from runtime.spec import Limits

_PREFIX = "pybuild-"
_CONTROLLERS = ("memory", "cpu", "pids")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A folder in which groups can be made, and the controllers that they would have."""

    folder: Path
    controllers: frozenset[str]
    unified: bool


def hierarchies(proc: Path = Path("/proc/self")) -> tuple[Hierarchy, ...]:
    """Return the hierarchies in which this process may make groups, by its own place in each of them."""
    with suppress(OSError):
        found = (_hierarchy(line, proc) for line in (proc / "cgroup").read_text().splitlines())
        return tuple(each for each in found if each is not None and os.access(each.folder, os.W_OK))
    return ()


def _hierarchy(line: str, proc: Path) -> Hierarchy | None:
    _, names, path = line.split(":", 2)
    wanted = frozenset(names.split(",")).intersection(_CONTROLLERS)
    if names and not wanted:
        return None
    mount = _mount_point(proc, names)
    if mount is None:
        return None
    folder = mount / path.lstrip("/")
    if not names:
        with suppress(OSError):
            wanted = frozenset((folder / "cgroup.subtree_control").read_text().split()).intersection(_CONTROLLERS)
    return Hierarchy(folder, wanted, unified=not names) if wanted else None


def _mount_point(proc: Path, names: str) -> Path | None:
    """Return where the hierarchy with the controllers *names* ("" for the unified one) is mounted in full."""
    for line in (proc / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, root, point, *_ = before.split(" ")
        kind, _, options = after.split(" ", 2)
        wanted = kind == ("cgroup" if names else "cgroup2")
        if wanted and root == "/" and set(names.split(",")) <= {"", *options.split(",")}:
            return Path(point)
    return None


@contextmanager
def limited(limits: Limits) -> Iterator[tuple[Path, ...]]:
    """Make groups that hold *limits* and yield the files by which a process joins them; remove them afterwards."""
    made: list[Path] = []
    try:
        for hierarchy in hierarchies() if _wanted(limits) else ():
            with suppress(OSError):
                made.append(_make_group(hierarchy, limits))
        yield tuple(group / "cgroup.procs" for group in made)
    finally:
        for group in made:
            with suppress(OSError):
                group.rmdir()


def _wanted(limits: Limits) -> bool:
    return any(value is not None for value in (limits.memory, limits.cpu_quota, limits.pids))


def _make_group(hierarchy: Hierarchy, limits: Limits) -> Path:
    _sweep(hierarchy.folder)
    group = hierarchy.folder / f"{_PREFIX}{os.getpid()}-{token_hex(4)}"
    group.mkdir()
    for controller, name, value in _settings(limits, unified=hierarchy.unified):
        if controller in hierarchy.controllers:
            with suppress(OSError):
                (group / name).write_text(value)
    return group


def _sweep(folder: Path) -> None:
    for group in folder.glob(f"{_PREFIX}*-*"):
        owner = group.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            with suppress(OSError):  # the kernel removes empty groups only
                group.rmdir()


def _settings(limits: Limits, *, unified: bool) -> Iterator[tuple[str, str, str]]:
    period = limits.cpu_period or 100_000
    if limits.memory is not None:
        yield "memory", "memory.max" if unified else "memory.limit_in_bytes", str(limits.memory)
    if limits.pids is not None:
        yield "pids", "pids.max", str(limits.pids)
    if limits.cpu_quota is not None and unified:
        yield "cpu", "cpu.max", f"{limits.cpu_quota} {period}"
    elif limits.cpu_quota is not None:
        yield "cpu", "cpu.cfs_period_us", str(period)
        yield "cpu", "cpu.cfs_quota_us", str(limits.cpu_quota)
