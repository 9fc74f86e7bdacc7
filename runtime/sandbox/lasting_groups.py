"""Control groups of containers: in all hierarchies, with or without limits, not tied to the process that makes them.

They lie below a group of their own at the top, since the session of whoever starts a container may end before it. With
them a container is frozen, counted, and killed as a whole.
"""

from contextlib import suppress
from pathlib import Path

from pybuild.runtime.sandbox.cgroup_settings import limits_asked
from pybuild.runtime.sandbox.cgroups import Hierarchy, hierarchies, set_limits
from pybuild.runtime.sandbox.spec import ResourceLimits

_CONTROLLERS = ("memory", "cpu", "cpuset", "pids", "freezer", "cpuacct", "blkio", "io")


def group_directories(name: str, parent: str, proc: Path = Path("/proc/self")) -> tuple[Path, ...]:
    """Return the groups called *name* below *parent*, those that are there."""
    found = hierarchies(proc, parent=parent, controllers=_CONTROLLERS)
    return tuple(each.directory / name for each in found if (each.directory / name).is_dir())


def make_groups(
    name: str, parent: str, limits: ResourceLimits, proc: Path = Path("/proc/self")
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Make a group called *name* below *parent* in each hierarchy that can be written.

    Return them, and the names of those *limits* that none of them holds.
    """
    made: list[Path] = []
    kept: set[str] = set()
    for hierarchy in hierarchies(proc, parent=parent, controllers=_CONTROLLERS):
        ready = _with_controllers(hierarchy) if hierarchy.unified else hierarchy
        group = ready.directory / name
        with suppress(OSError):
            group.mkdir(exist_ok=True)
            made.append(group)
            kept |= set_limits(group, ready, limits)
    return tuple(made), tuple(name for name in limits_asked(limits) if name not in kept)


def change_groups(name: str, parent: str, limits: ResourceLimits, proc: Path = Path("/proc/self")) -> tuple[str, ...]:
    """Change the limits of the groups called *name*; return the names of *limits* that none of them holds."""
    kept: set[str] = set()
    for hierarchy in hierarchies(proc, parent=parent, controllers=_CONTROLLERS):
        group = hierarchy.directory / name
        if group.is_dir():
            # Twice: of two limits that bound each other, such as memory and swap, the order depends on the old ones.
            set_limits(group, hierarchy, limits)
            kept |= set_limits(group, hierarchy, limits)
    return tuple(name for name in limits_asked(limits) if name not in kept)


def _with_controllers(hierarchy: Hierarchy) -> Hierarchy:
    """Enable all controllers in *hierarchy* (cgroup v2), where each group names those that its children get."""
    for directory in (hierarchy.directory.parent, hierarchy.directory):
        for controller in _CONTROLLERS:
            with suppress(OSError):
                (directory / "cgroup.subtree_control").write_text(f"+{controller}")
    with suppress(OSError):
        given = (hierarchy.directory / "cgroup.subtree_control").read_text().split()
        return Hierarchy(hierarchy.directory, frozenset(given).intersection(_CONTROLLERS), unified=True)
    return hierarchy
