"""Directories that lie in an active snapshot for the time of one run, where no mounts can be had: cache mounts.

They are moved there, and must not go with the snapshot, however its builder ends. So a record of them lies beside the
tree; who removes an active snapshot calls `take_back` first. They are known by their inode, because a step may move
them, and no process that has one as its working directory may live on: "..", once it is outside, would lead there too.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR

from pybuild.runtime.paths.safepath import scan_directory
from pybuild.runtime.paths.walk import open_beneath
from pybuild.runtime.snapshots.marked import end_marked
from pybuild.runtime.values import frozen

_RECORD = "lent"
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Lent:
    """A directory: where it belongs, and what it is."""

    home: str
    device: int
    inode: int
    mode: int
    uid: int
    gid: int

    @staticmethod
    def of(home: Path) -> "Lent":
        """Return the directory that lies at *home*."""
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
    """Note that *lent* lie in the tree of the active snapshot in *directory*, or will in a moment.

    Processes that see the tree have *mark*.
    """
    rows = [[each.home, each.device, each.inode, each.mode, each.uid, each.gid] for each in lent]
    new = directory / f"{_RECORD}.new"
    new.write_text(json.dumps({"mark": mark, "lent": rows}), encoding="utf-8")
    new.rename(directory / _RECORD)


def take_back(directory: Path) -> None:
    """End the processes that see the active snapshot in *directory*, and bring home what was lent to it.

    What was removed inside is made again, empty. Nothing was lent, and all was taken back, are no errors.
    """
    try:
        found = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return
    end_marked(found["mark"])
    tree = os.open(directory / "fs", _DIRECTORY)
    try:
        for home, device, inode, mode, uid, gid in found["lent"]:
            lent = Lent(home=home, device=device, inode=inode, mode=mode, uid=uid, gid=gid)
            if not os.path.lexists(home) and not _moved_home(tree, lent):
                _make_again(lent)
    finally:
        os.close(tree)
    (directory / _RECORD).unlink()


def _moved_home(tree: int, lent: Lent) -> bool:
    """Move the directory home from wherever it is in *tree*; False when it is nowhere."""
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
