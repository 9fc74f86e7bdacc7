"""The mounts of a sandbox in its file tree while nothing runs in it, for copies from and to that tree."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pybuild.runtime.kernel.chroot import make_private
from pybuild.runtime.kernel.syscalls import AT_FDCWD, CLONE_NEWNS, move_mount, setns, unshare
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.file_systems import FileSystem
from pybuild.runtime.sandbox.inside.mounts import Bind
from pybuild.runtime.sandbox.inside.scratch import is_directory
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
    for mount in sorted(mounts, key=lambda each: each.target.count(b"/")):
        _attach_one(tree, mount, stubs)


def _attach_one(tree: int, mount: Bind | FileSystem, stubs: Stubs) -> None:
    made = mount.make(None)
    try:
        with Operation(f"mount {mount.describe()} on", mount.target):
            target = stubs.open(tree, mount.target, directory=is_directory(made))
            try:
                move_mount(made, target)
            finally:
                os.close(target)
    finally:
        os.close(made)
