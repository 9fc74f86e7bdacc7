"""Cache mounts where nothing can be mounted: their directories are *lent* to an active snapshot for one run.

They are moved into its tree, and must not be removed with the snapshot, however its builder ends. So a record of them
is kept beside the tree, and whoever removes an active snapshot calls `take_back` first. They are found by their inode,
because a step may move them. All processes of the step are ended before: for one whose working directory is in a lent
directory, ".." would lead out of its root once that is back in its place.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR

from pybuild.runtime.paths.safepath import scan_directory
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.process_marks import end_marked
from pybuild.runtime.values import frozen

_RECORD = "lent"
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Lent:
    """A lent directory: the path *home* where it belongs, its identity, and its mode and owner."""

    home: str
    device: int
    inode: int
    mode: int
    uid: int
    gid: int

    @staticmethod
    def of(home: Path) -> "Lent":
        """Return the description of the directory that is at *home* now."""
        found = home.lstat()
        return Lent(
            home=os.fspath(home),
            device=found.st_dev,
            inode=found.st_ino,
            mode=S_IMODE(found.st_mode),
            uid=found.st_uid,
            gid=found.st_gid,
        )


def record(directory: Path, mark: int, lent: tuple[Lent, ...]) -> None:
    """Record that *lent* are in the tree of the active snapshot in *directory*, or will be in a moment.

    *mark* is that of the processes that see the tree. Called before a directory is moved, since the builder may be
    killed in between.
    """
    rows = [[each.home, each.device, each.inode, each.mode, each.uid, each.gid] for each in lent]
    new = directory / f"{_RECORD}.new"
    new.write_text(json.dumps({"mark": mark, "lent": rows}), encoding="utf-8")
    new.rename(directory / _RECORD)


def take_back(directory: Path) -> None:
    """End the processes that see the active snapshot in *directory*, and move what was lent to it back to its home.

    A directory that the step removed is made again, empty. It is no error if nothing was lent, or is lent any more.
    """
    try:
        found = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return
    # First of all: a process could move the directory on, or write to it after its return.
    end_marked(found["mark"])
    tree = os.open(directory / "fs", _DIRECTORY)
    try:
        for home, device, inode, mode, uid, gid in found["lent"]:
            lent = Lent(home=home, device=device, inode=inode, mode=mode, uid=uid, gid=gid)
            if not os.path.lexists(home) and not _move_home(tree, lent):
                _make_again(lent)
    finally:
        os.close(tree)
    (directory / _RECORD).unlink()


def _move_home(tree: int, lent: Lent) -> bool:
    """Move the directory home from wherever it is in *tree*; return False when it is not there."""
    pending = [""]
    while pending:
        path = pending.pop()
        directory = open_beneath(tree, path)
        try:
            for entry in scan_directory(directory):
                if (entry.stat.st_dev, entry.stat.st_ino) == (lent.device, lent.inode):
                    os.rename(entry.name, lent.home, src_dir_fd=directory)
                    return True
                if S_ISDIR(entry.stat.st_mode):
                    pending.append(f"{path}/{entry.name}")
        finally:
            os.close(directory)
    return False


def _make_again(lent: Lent) -> None:
    with suppress(FileExistsError):
        os.mkdir(lent.home)
        os.chown(lent.home, lent.uid, lent.gid)
        os.chmod(lent.home, lent.mode)
