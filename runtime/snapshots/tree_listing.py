"""The listing of a tree, by which is found what a step changed that works on the tree itself and not on a copy.

A listing has the inode and the status of every file, and the extended attributes of directories. A file is the same if
it has its old inode and status, and a change time (ctime) before the listing: the kernel sets the change time at each
change, and a process can only give it an earlier one by setting back the clock of the host.

A file with its old status and a newer change time may have other content or attributes. It is compared with the tree
from before the step, which has to be made again.
"""

import json
import marshal
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from pybuild.runtime.paths.safepath import DirectoryEntry, names_and_statuses, read_xattrs, scan_directory
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.change import Change
from pybuild.runtime.snapshots.change_stream import (
    Place,
    TreeStep,
    in_order,
    is_present,
    step_of,
    steps_added,
    with_deletions,
)
from pybuild.runtime.snapshots.changes import essence, is_same_inside
from pybuild.runtime.stopping import check

_LISTING = "listing"
_RETURNED = "returned"
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LENGTH = 8  # bytes of the number before each record, its size
_MOMENT = 0.0005  # seconds until another look at the clock of the file system


# Of each file: inode, number of links, what `essence` returns, and the extended attributes of a directory, else None.
# Plain tuples, because marshal writes no instances of classes.
_Row = tuple[int, int, tuple[int, ...], dict[str, bytes] | None]
_INODE, _LINKS, _ESSENCE, _XATTRS = range(4)


def is_listed(directory: Path) -> bool:
    """Return whether the active snapshot in *directory* has a listing."""
    return (directory / _LISTING).exists()


def list_tree(directory: Path, mark: Path) -> None:
    """Write the listing of the tree ``fs`` in *directory*, then make the file *mark*, older than all later changes.

    The clock of a file system advances in steps of some milliseconds. So *mark* is touched until its time is later than
    that of the last change before the listing, which is the file ``parent``.
    """
    before = directory / f"{_LISTING}.new"
    tree = os.open(directory / "fs", _DIRECTORY)
    try:
        with before.open("wb") as file:
            for path, rows in _walk(tree):
                record = marshal.dumps((path, rows))
                file.write(len(record).to_bytes(_LENGTH, "little") + record)
    finally:
        os.close(tree)
    started = (directory / "parent").stat().st_ctime_ns
    mark.touch()
    while mark.stat().st_ctime_ns <= started:
        time.sleep(_MOMENT)
        mark.touch()
    before.rename(directory / _LISTING)


def drop_listing(directory: Path) -> None:
    """Remove the listing of the snapshot in *directory*, in which no step will run any more."""
    for name in (_LISTING, _RETURNED):
        (directory / name).unlink(missing_ok=True)


def note_returned(directory: Path, files: list[tuple[int, int]]) -> None:
    """Record that *files* are the same although their change time is newer: they were moved out of reach of the step.

    Each is an inode and the change time that it has now, in nanoseconds.
    """
    with (directory / _RETURNED).open("w", encoding="ascii") as file:
        json.dump(files, file)


def listed_changes(directory: Path, mark: Path, before: Callable[[], int]) -> Iterator[Change]:
    """Yield what changed in the tree ``fs`` in *directory* since `list_tree`, as `changes.tree_changes` does.

    *before* opens the tree as it was. It is called at the first file whose content must be compared.
    """
    with ExitStack() as stack:
        new = os.open(directory / "fs", _DIRECTORY)
        stack.callback(os.close, new)
        listing = _Listing(stack.enter_context((directory / _LISTING).open("rb")))
        returned: set[tuple[int, int]] = set()
        with suppress(FileNotFoundError):
            returned.update(map(tuple, json.loads((directory / _RETURNED).read_text(encoding="ascii"))))
        comparison = _Comparison(new, listing, mark.stat().st_ctime_ns, returned, before)
        stack.callback(comparison.close)
        yield from in_order(Place(), comparison.steps)


def _walk(tree: int) -> Iterator[tuple[str, list[tuple[str, _Row]]]]:
    """Yield the path of each directory and its rows, a directory before those in it, names in byte order."""
    pending = [""]
    while pending:
        path = pending.pop()
        rows: list[tuple[str, _Row]] = []
        inner = []
        directory = open_beneath(tree, path)
        try:
            for name, status in names_and_statuses(directory):
                if stat.S_ISDIR(status.st_mode):
                    inner.append(f"{path}/{name}" if path else name)
                    xattrs = read_xattrs(f"/proc/self/fd/{directory}/{name}")
                    rows.append((name, (status.st_ino, status.st_nlink, essence(status), xattrs)))
                elif is_present(status):
                    rows.append((name, (status.st_ino, status.st_nlink, essence(status), None)))
        finally:
            os.close(directory)
        yield path, rows
        # Reversed, because the last one is the next.
        pending += inner[::-1]


class _Listing:
    """A listing that is read during a walk in the same order, so that one directory of it is in memory at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def rows(self, path: str) -> dict[str, _Row]:
        """Return the rows of the directory at *path*. Directories before it, which are gone, are skipped."""
        while length := self._file.read(_LENGTH):
            found, rows = marshal.loads(self._file.read(int.from_bytes(length, "little")))  # noqa: S302 - written here
            if found == path:
                return dict(rows)
        raise EOFError(f"not in the listing: {path}")


class _Comparison:
    """The comparison of a tree with its listing, as that of two trees in `changes`."""

    def __init__(
        self,
        new: int,
        listing: _Listing,
        listed_ns: int,
        returned: set[tuple[int, int]],
        before: Callable[[], int],
    ) -> None:
        self._new, self._listing, self._listed_ns, self._returned = new, listing, listed_ns, returned
        self._before = before
        self._old = -1

    def close(self) -> None:
        if self._old >= 0:
            os.close(self._old)

    def steps(self, place: Place) -> list[TreeStep]:
        new = open_beneath(self._new, place.path)
        try:
            if not place.paired:
                return steps_added(place, [(entry, is_present(entry.stat)) for entry in scan_directory(new)])
            before = self._listing.rows(place.path)
            steps = []
            check()
            for name, now in names_and_statuses(new):
                row = before.pop(name, None)
                if row is not None and self._is_untouched(row, now):
                    if row[_XATTRS] is not None:
                        steps.append(TreeStep(name, None, Place(place.below(name))))
                elif is_present(now):
                    steps.append(self._step(place, DirectoryEntry(name, now), row, new))
                elif row is not None:
                    before[name] = row
        finally:
            os.close(new)
        return with_deletions(place, steps, before) if before else steps

    def _step(self, place: Place, entry: DirectoryEntry, before: _Row | None, new: int) -> TreeStep:
        """Return the step of a file that is new, or may have been changed."""
        same = before is not None and self._is_same(place, entry, before, new)
        inner = None
        if stat.S_ISDIR(entry.stat.st_mode):
            inner = Place(place.below(entry.name), paired=before is not None and before[_XATTRS] is not None)
        return step_of(place, entry.name, inner, is_new=before is None, is_same=same)

    def _is_untouched(self, row: _Row, now: os.stat_result) -> bool:
        # The status is compared, too, in case that the clock was set back.
        return now.st_ino == row[_INODE] and now.st_ctime_ns < self._listed_ns and essence(now) == row[_ESSENCE]

    def _is_same(self, place: Place, entry: DirectoryEntry, before: _Row, new: int) -> bool:
        now, (inode, links, was, xattrs) = entry.stat, before
        if essence(now) != was:
            return False
        if xattrs is not None:
            return read_xattrs(f"/proc/self/fd/{new}/{entry.name}") == xattrs
        if now.st_nlink > links:  # a layer holds a new hard link only together with the file (`changes`)
            return False
        if now.st_ino == inode and (inode, now.st_ctime_ns) in self._returned:
            return True
        check()
        old = open_beneath(self._tree_before(), place.path)
        try:
            return is_same_inside(entry.name, stat.S_IFMT(now.st_mode), (old, new))
        finally:
            os.close(old)

    def _tree_before(self) -> int:
        if self._old < 0:
            self._old = self._before()
        return self._old
