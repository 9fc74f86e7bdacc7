"""Control groups of containers, which outlive the process that makes them. By them a container is frozen and measured.

They are made in all hierarchies, even without limits. They are not below the group of the command that starts a
container, because a session, and its group, may end before the container.
"""

from contextlib import suppress
from pathlib import Path

from pybuild.runtime.sandbox.cgroup_settings import limits_asked
from pybuild.runtime.sandbox.cgroups import Hierarchy, hierarchies, set_limits
from pybuild.runtime.sandbox.spec import ResourceLimits

_CONTROLLERS = ("memory", "cpu", "cpuset", "pids", "freezer", "cpuacct", "blkio", "io")


def group_directories(name: str, parent: str, proc: Path = Path("/proc/self")) -> tuple[Path, ...]:
    """Return the existing groups called *name* below *parent*, one for each hierarchy."""
    found = hierarchies(proc, parent=parent, controllers=_CONTROLLERS)
    return tuple(each.directory / name for each in found if (each.directory / name).is_dir())


def make_groups(
    name: str, parent: str, limits: ResourceLimits, proc: Path = Path("/proc/self")
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Make a group called *name* below *parent* in each hierarchy that can be written.

    Return the groups, and the names of the *limits* that none of them keeps.
    """
    made: list[Path] = []
    kept: set[str] = set()
    for hierarchy in hierarchies(proc, parent=parent, controllers=_CONTROLLERS):
        ready = _with_controllers(hierarchy) if hierarchy.unified else hierarchy
        group = ready.directory / name
        # One may be left by a monitor that was killed.
        with suppress(OSError):  # the limits that it would hold are returned as not kept
            group.mkdir(exist_ok=True)
            made.append(group)
            kept |= set_limits(group, ready, limits)
    return tuple(made), tuple(name for name in limits_asked(limits) if name not in kept)


def change_groups(name: str, parent: str, limits: ResourceLimits, proc: Path = Path("/proc/self")) -> tuple[str, ...]:
    """Change the limits of the groups called *name*; return the names of *limits* that none of them keeps."""
    kept: set[str] = set()
    for hierarchy in hierarchies(proc, parent=parent, controllers=_CONTROLLERS):
        group = hierarchy.directory / name
        if group.is_dir():
            # Twice, because two limits may bound each other, such as memory and swap. Which one the kernel accepts
            # first depends on the old values; the second time it accepts both.
            set_limits(group, hierarchy, limits)
            kept |= set_limits(group, hierarchy, limits)
    return tuple(name for name in limits_asked(limits) if name not in kept)


def _with_controllers(hierarchy: Hierarchy) -> Hierarchy:
    """Enable all controllers in *hierarchy* (cgroup v2), where each group names those that its children get."""
    for directory in (hierarchy.directory.parent, hierarchy.directory):
        for controller in _CONTROLLERS:
            with suppress(OSError):  # the kernel lacks it, or the group has processes of its own (EBUSY)
                (directory / "cgroup.subtree_control").write_text(f"+{controller}")
    with suppress(OSError):  # the group has just been removed: what is set in it will fail, and is not kept
        given = (hierarchy.directory / "cgroup.subtree_control").read_text().split()
        return Hierarchy(hierarchy.directory, frozenset(given).intersection(_CONTROLLERS), unified=True)
    return hierarchy
