"""Whether overlayfs can be used on a file system, found out by a trial.

A mount that succeeds proves little: in a user namespace without the option userxattr, removing a directory of a lower
layer fails afterwards, and some file systems cannot hold whiteouts. An error that does not mean "not supported" is
raised: a full or broken disk must not make a store keep whole trees from then on.
"""

import os
from contextlib import suppress
from errno import EACCES, EINVAL, ELOOP, ENODATA, ENODEV, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, EXDEV
from pathlib import Path

from pybuild.runtime.paths.filelock import make_locked_directory
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix
from pybuild.runtime.snapshots.overlay_snapshotter import mount_tree, remove_inside

_NOT_SUPPORTED = frozenset({EACCES, EINVAL, ELOOP, ENODATA, ENODEV, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, EXDEV})


def overlay_refusal(directory: Path) -> OSError | None:
    """Return None when overlayfs works on the file system of *directory*, else what the kernel does not support there.

    Raises:
        OSError: the trial failed for a reason that says nothing of overlayfs: no space, a bad disk, too many files.
    """
    path, lock = make_locked_directory(directory, "tmp-")
    try:
        _try_overlay(path)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        return error
    finally:
        with suppress(OSError):
            remove_inside(directory, path.name)
        os.close(lock)
    return None


def _try_overlay(path: Path) -> None:
    for name in ("lower/folder/inner", "upper", "work"):
        (path / name).mkdir(parents=True)
    # Tried directly: overlayfs would fail with EIO where it cannot set an attribute, as it does on a bad disk.
    opaque = f"{overlay_xattr_prefix()}opaque"
    os.setxattr(path / "lower", opaque, b"n")
    merged = mount_tree([path / "lower"], path, upper=path / "upper", work=path / "work")
    try:
        os.rmdir("folder/inner", dir_fd=merged)
        os.rmdir("folder", dir_fd=merged)
        # A directory in place of a removed one is an opaque one, which takes an attribute.
        os.mkdir("folder", dir_fd=merged)
    finally:
        os.close(merged)
    if os.getxattr(path / "upper/folder", opaque) != b"y":
        raise OSError(EOPNOTSUPP, os.strerror(EOPNOTSUPP))
