"""Limits on memory, processors and processes by control groups (cgroups(7)), where this host permits to make groups.

A build never fails because cgroups are missing, but limits that are not kept are reported. A group lives as long as
one sandbox. A killed builder leaves an empty group behind, which the next builder that makes a group removes.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EBUSY
from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.runtime.sandbox.cgroup_settings import limit_of, settings
from pybuild.runtime.sandbox.spec import ResourceLimits
from pybuild.runtime.values import positional

if TYPE_CHECKING:
    # Commands that list containers load this module, and not the modules of a sandbox child.
    from pybuild.runtime.sandbox.child import Output

_PREFIX = "pybuild-"
_TRIES, _PAUSE = 50, 0.01  # half a second, in seconds
_PASSED_ON = "cgroup.subtree_control"
"""The file of a group of cgroup v2 with the controllers that groups in it have."""
_CONTROLLERS = ("memory", "cpu", "cpuset", "pids")
_warned: set[tuple[str, ...]] = set()
"""The sets of limits that this process has warned of: each set gets one warning, not one for each step."""


@positional
class Hierarchy:
    """A directory in which groups can be made, and the controllers that they would have. *unified* means cgroup v2."""

    directory: Path
    controllers: frozenset[str]
    unified: bool


def hierarchies(
    proc: Path = Path("/proc/self"), *, parent: str = "", controllers: tuple[str, ...] = _CONTROLLERS
) -> tuple[Hierarchy, ...]:
    """Return the hierarchies in which this process may make groups: in its own group, or in the one called *parent*.

    A missing parent is made. Hierarchies without any of the *controllers* are left out. In cgroup v2 a group that has
    processes gives no controllers to groups in it, so there the nearest group above is taken that may.
    """
    with suppress(OSError):  # a kernel without cgroups, or a container without /proc/self/cgroup
        lines = (proc / "cgroup").read_text().splitlines()
        found = (_hierarchy(line, proc, parent, controllers) for line in lines)
        return tuple(each for each in found if each is not None and os.access(each.directory, os.W_OK))
    return ()


def _hierarchy(line: str, proc: Path, parent: str, controllers: tuple[str, ...]) -> Hierarchy | None:
    _, names, path = line.split(":", 2)
    wanted = frozenset(names.split(",")).intersection(controllers)
    if names and not wanted:
        return None
    mount = _mount_point(proc, names)
    if mount is None:
        return None
    directory = mount / (parent or path).lstrip("/")
    with suppress(OSError):  # not permitted: `hierarchies` checks what can be written
        directory.mkdir(parents=True, exist_ok=True)
    if not names and parent:
        wanted = _words(directory / _PASSED_ON).intersection(controllers)
    elif not names:
        directory, given = _nearest_with_controllers(directory, mount)
        wanted = given.intersection(controllers)
    return Hierarchy(directory, wanted, unified=not names) if wanted or parent else None


def _nearest_with_controllers(own: Path, mount: Path) -> tuple[Path, frozenset[str]]:
    """Return the nearest group, *own* or above it, whose groups may have limits, and the controllers for that (v2)."""
    above = [own, *(each for each in own.parents if each.is_relative_to(mount))]
    found = next((each for each in above if _may_give(each)), None)
    if found is None:
        return own, frozenset()
    # All controllers of the highest group that can be changed may be passed down, which is done when one is needed.
    highest = next((each for each in reversed(above) if os.access(each / _PASSED_ON, os.W_OK)), found)
    return found, _words(highest / "cgroup.controllers") or _words(found / _PASSED_ON)


def _may_give(group: Path) -> bool:
    files = group / "cgroup.procs", group / _PASSED_ON
    if not all(os.access(path, os.W_OK) for path in (group, *files)):
        return False
    # A group has either processes or groups with controllers ("no internal process constraint" of cgroup-v2.rst).
    return bool(_words(files[1])) or not _words(files[0])


def _words(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text(encoding="ascii").split())
    except OSError:  # the file belongs to the other version of cgroups, or may not be read
        return frozenset()


def _mount_point(proc: Path, names: str) -> Path | None:
    """Return where the whole hierarchy with the controllers *names* is mounted, "" for the unified one."""
    for line in (proc / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, root, point, *_ = before.split(" ")
        kind, _, options = after.split(" ", 2)
        wanted = kind == ("cgroup" if names else "cgroup2")
        if wanted and root == "/" and set(names.split(",")) <= {"", *options.split(",")}:
            return Path(point)
    return None


@positional
class Groups:
    """The groups of one sandbox: the *files* by which a process joins them, and the limits that are not kept."""

    files: tuple[Path, ...]
    missing: tuple[str, ...] = ()

    def out_of_memory(self) -> bool:
        """Return whether the kernel has killed a process in these groups for lack of memory."""
        return any(
            _kills(file.parent / name) for file in self.files for name in ("memory.events", "memory.oom_control")
        )


def _kills(path: Path) -> int:
    with suppress(OSError, ValueError):  # the group has no memory controller, or one of the other version
        counts = dict(line.split() for line in path.read_text(encoding="ascii").splitlines())
        return int(counts.get("oom_kill", 0))
    return 0


@contextmanager
def limited_with_notes(limits: ResourceLimits, output: "Output") -> Iterator[Groups]:
    """Do `limited`, and write to *output* which limits are not kept, and in the end whether memory ran out."""
    with limited(limits) as groups:
        _warn_of_missing(groups.missing, output)
        yield groups
        # Asked before the groups are removed, since their counters go with them.
        if groups.out_of_memory():
            output(2, f"note: the kernel killed a process: memory is limited to {limits.memory} bytes\n".encode())


def _warn_of_missing(missing: tuple[str, ...], output: "Output") -> None:
    if missing and missing not in _warned:
        _warned.add(missing)
        limits = f"the limits {', '.join(missing)} are" if missing[1:] else f"the limit {missing[0]} is"
        output(2, f"WARNING: {limits} not kept: no control group here holds more, see pybuild doctor\n".encode())


@contextmanager
def limited(limits: ResourceLimits) -> Iterator[Groups]:
    """Make groups with *limits*, yield them, and remove them afterwards."""
    made: list[Path] = []
    kept: set[str] = set()
    try:
        for hierarchy in hierarchies(parent=limits.cgroup_parent) if limits.cgroup_parent or _are_set(limits) else ():
            with suppress(OSError):  # the limits that it would hold are reported as missing
                made += _make_group(hierarchy, limits, kept)
        wanted = dict.fromkeys(limit_of(name) for _, name, _ in settings(limits, unified=True))
        missing = tuple(name for name in wanted if name not in kept)
        yield Groups(tuple(group / "cgroup.procs" for group in made), missing)
    finally:
        for group in made:
            _remove(group)


def _are_set(limits: ResourceLimits) -> bool:
    return any(True for _ in settings(limits, unified=True))


def _make_group(hierarchy: Hierarchy, limits: ResourceLimits, kept: set[str]) -> Iterator[Path]:
    """Make a group and yield it, if the hierarchy can hold one of the limits, or if the limits name a parent group.

    The names of the limits that it holds are added to *kept*.
    """
    wanted = [each for each in settings(limits, unified=hierarchy.unified) if each[0] in hierarchy.controllers]
    if not wanted and not limits.cgroup_parent:
        return
    if hierarchy.unified:
        _pass_on(hierarchy.directory, {each[0] for each in wanted})
    _sweep(hierarchy.directory)
    group = hierarchy.directory / f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    group.mkdir()
    # Before the limits are set, so that the caller removes it even if that fails.
    yield group
    kept.update(set_limits(group, hierarchy, limits))


def _pass_on(directory: Path, controllers: set[str]) -> None:
    """Let groups in *directory* have these controllers, as far as the groups above can be changed."""
    # From the top down: a group can only pass on what it has itself ("Top-down Constraint" of cgroup-v2.rst).
    for controller in controllers - _words(directory / _PASSED_ON):
        for group in (*reversed(directory.parents), directory):
            if (group / _PASSED_ON).exists() and controller not in _words(group / _PASSED_ON):
                with suppress(OSError):  # not permitted: `set_limits` reports what is not held
                    (group / _PASSED_ON).write_text(f"+{controller}", encoding="ascii")


def set_limits(group: Path, hierarchy: Hierarchy, limits: ResourceLimits) -> set[str]:
    """Set those of *limits* that the controllers of *group* have; return the names of the flags that are kept."""
    if "cpuset" in hierarchy.controllers and not hierarchy.unified:
        _inherit_cpuset(group)
    kept, refused = set(), set()
    for controller, name, value in settings(limits, unified=hierarchy.unified):
        if controller in hierarchy.controllers:
            try:
                (group / name).write_text(value)
                kept.add(limit_of(name))
            except OSError:  # the kernel refuses the value, or lacks the file
                refused.add(limit_of(name))
    return kept - refused


def _inherit_cpuset(group: Path) -> None:
    """Copy processors and memory nodes of the parent to a new group (cgroup v1), which none can join without them."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with suppress(OSError):  # joining the group fails then, and says why
            above = group.parent / name
            if not above.read_text().strip():
                above.write_text((above.parent.parent / name).read_text())
            (group / name).write_text(above.read_text())


def _remove(group: Path) -> None:
    """Remove *group*, as soon as the processes of the sandbox are reaped; else `_sweep` does later."""
    for _ in range(_TRIES):
        try:
            group.rmdir()
        except OSError as error:
            if error.errno != EBUSY:
                return
            time.sleep(_PAUSE)  # the kernel reports the end of the last process to nobody
        else:
            return


def _sweep(directory: Path) -> None:
    """Remove the groups of builders that have died. The name of a group has the number of its builder."""
    for group in directory.glob(f"{_PREFIX}*-*"):
        owner = group.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            with suppress(OSError):  # the kernel removes empty groups only
                group.rmdir()
