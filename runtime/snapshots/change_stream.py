"""The stream of changes of a tree, directory by directory: what both ways to find changes have in common."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pybuild.runtime.paths.safepath import DirectoryEntry
from pybuild.runtime.snapshots.change import Change, ChangeKind


class Place(NamedTuple):
    """A directory to compare, by its path, with what is known of it."""

    path: str = ""
    paired: bool = True
    """The old tree has a directory at the same path."""
    merged: bool = False
    """The new directory is merged with the old one by overlayfs: a name that it lacks is inherited, not deleted."""
    moved: bool = False
    """The directory may have been renamed since the copy, so the change times below it prove nothing."""

    def below(self, name: str) -> str:
        """Return the path of *name* in this directory."""
        return f"{self.path}/{name}" if self.path else name


class TreeStep(NamedTuple):
    """A part of the stream: a change, if there is one, and then the changes in *directory*, if it is one."""

    name: str
    change: Change | None
    directory: Place | None = None


def in_order(top: Place, steps: Callable[[Place], list[TreeStep]]) -> Iterator[Change]:
    """Yield the changes of *steps* from the directory *top* down, those of a directory right after its own.

    In memory are the remaining steps of the directories on the path to the current one, not of the whole tree.
    """
    stack = [iter(steps(top))]
    while stack:
        for step in stack[-1]:
            if step.change is not None:
                yield step.change
            if step.directory is not None:
                stack.append(iter(steps(step.directory)))
                break
        else:
            stack.pop()


def is_present(status: os.stat_result) -> bool:
    """Return whether a layer can contain a file with *status*."""
    mode = status.st_mode
    return not (stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and status.st_rdev == 0))


def steps_added(place: Place, entries: list[tuple[DirectoryEntry, bool]]) -> list[TreeStep]:
    """Return the steps of a directory that the old tree lacks. Each entry has with it whether it is present."""
    steps = []
    for entry, there in entries:
        if there:
            path = place.below(entry.name)
            directory = place._replace(path=path, paired=False) if stat.S_ISDIR(entry.stat.st_mode) else None
            steps.append(TreeStep(entry.name, Change(ChangeKind.ADD, path), directory))
    return steps


def step_of(place: Place, name: str, inner: Place | None, *, is_new: bool, is_same: bool) -> TreeStep:
    """Return the step of the entry *name* of *place*; *inner* is itself, if it is a directory."""
    if is_same:
        return TreeStep(name, None, inner)
    return TreeStep(name, Change(ChangeKind.ADD if is_new else ChangeKind.MODIFY, place.below(name)), inner)


def with_deletions(place: Place, steps: list[TreeStep], names: Iterable[str]) -> list[TreeStep]:
    """Return *steps* and the deletion of each of *names*, in the order of the names."""
    steps += [TreeStep(name, Change(ChangeKind.DELETE, place.below(name))) for name in names]
    steps.sort(key=lambda step: os.fsencode(step.name))
    return steps
