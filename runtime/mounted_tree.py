"""The file tree of a sandbox with its mounts, for copies from and to that tree, while it runs and while it does not."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from errno import EINVAL, ENOENT
from pathlib import Path

from pybuild.runtime.kernel.chroot import make_private
from pybuild.runtime.kernel.detached_mounts import is_directory
from pybuild.runtime.kernel.syscalls import (
    AT_FDCWD,
    CLONE_NEWNS,
    MNT_DETACH,
    MS_PRIVATE,
    MS_REC,
    mount,
    move_mount,
    setns,
    umount2,
    unshare,
)
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.detached_root import SYSTEM_DIRECTORIES
from pybuild.runtime.sandbox.inside.file_systems import FileSystem
from pybuild.runtime.sandbox.inside.mounts import Bind
from pybuild.runtime.sandbox.inside.stubs import Stubs

_NAMESPACE = "/proc/thread-self/ns/mnt"


@contextmanager
def mounted(tree: int, mounts: Sequence[Bind | FileSystem], place: Path) -> Iterator[None]:
    """Attach *mounts* in the detached mount *tree* while the block runs: paths below that descriptor lead into them.

    No other process sees them, and they are gone when this one is killed. Missing mount points are made, and removed
    after the block. *tree* itself is attached to *place*, any directory.

    Raises:
        SandboxError: a source is missing, or a target is not what its source is.
    """
    stubs = Stubs()
    try:
        # A mount can be attached only to one of the caller's mount namespace. unshare(2) is about the calling thread,
        # and the descriptor keeps the namespace when the thread has ended.
        with ThreadPoolExecutor(max_workers=1) as thread:
            namespace = thread.submit(_attach, tree, mounts, place, stubs).result()
        try:
            yield
        finally:
            os.close(namespace)
    finally:
        stubs.remove()


def _attach(tree: int, mounts: Sequence[Bind | FileSystem], place: Path, stubs: Stubs) -> int:
    """Attach *mounts* in a new mount namespace, and return a descriptor of that."""
    before = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Operation("make a mount namespace"):
            unshare(CLONE_NEWNS)
            make_private()
            namespace = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _attach_all(tree, mounts, place, stubs)
        except BaseException:
            os.close(namespace)
            raise
        return namespace
    finally:
        # A thread that has been joined may still be about to end. Until then it would keep what is mounted.
        setns(before, CLONE_NEWNS)
        os.close(before)


def _attach_all(tree: int, mounts: Sequence[Bind | FileSystem], place: Path, stubs: Stubs) -> None:
    with Operation("mount", os.fsencode(place)):
        move_mount(tree, AT_FDCWD, os.fsencode(place))
    # Outer ones first: a mount point below another one is only there when that is mounted.
    for each in sorted(mounts, key=lambda each: each.target.count(b"/")):
        _attach_one(tree, each, stubs)


def _attach_one(tree: int, given: Bind | FileSystem, stubs: Stubs) -> None:
    made = given.make(None)
    try:
        with Operation(f"mount {given.describe()} on", given.target):
            target = stubs.open(tree, given.target, directory=is_directory(made))
            try:
                move_mount(made, target)
            finally:
                os.close(target)
    finally:
        os.close(made)


@contextmanager
def running_tree(process: int) -> Iterator[int]:
    """Yield a descriptor of the file tree of the sandbox in which the process behind the pidfd *process* runs.

    It has the mounts that the sandbox has now, but for /proc, /sys and /dev, whose files are no files of a container.
    The sandbox does not change.

    Raises:
        ProcessLookupError: the process has ended.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        namespace, tree = thread.submit(_copy_namespace, process).result()
    try:
        yield tree
    finally:
        os.close(tree)
        os.close(namespace)


def _copy_namespace(process: int) -> tuple[int, int]:
    """Return descriptors of a copy of the mount namespace of *process*, and of its root."""
    before = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    # By the directory, since the /proc of the sandbox has other processes.
    own = os.open(os.path.dirname(_NAMESPACE), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNS)  # setns(2) refuses a thread that has its root in common with others
        setns(process, CLONE_NEWNS)
        try:
            unshare(CLONE_NEWNS)
            # Otherwise what is unmounted here would be unmounted there, too, where mounts are shared.
            mount("none", "/", None, MS_REC | MS_PRIVATE)
            for path in SYSTEM_DIRECTORIES:
                _unmount(path)
            tree = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            return os.open(os.path.basename(_NAMESPACE), os.O_RDONLY | os.O_CLOEXEC, dir_fd=own), tree
        finally:
            setns(before, CLONE_NEWNS)
    finally:
        os.close(own)
        os.close(before)


def _unmount(path: bytes) -> None:
    try:
        umount2(path, MNT_DETACH)
    except OSError as error:
        if error.errno not in {EINVAL, ENOENT}:  # the processes have unmounted it, or removed it
            raise
