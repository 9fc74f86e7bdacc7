"""Puts the mounts of a `Spec` into the tree of a chroot: files are written, directories copied or lent."""

import os
from collections.abc import Callable
from contextlib import suppress
from errno import ENOTDIR
from functools import partial
from posixpath import normpath
from stat import S_IMODE, S_ISDIR
from typing import assert_never

from pybuild.runtime.chrooted import sys_and_dev
from pybuild.runtime.chrooted.copies import copy_into
from pybuild.runtime.chrooted.inside.values import Hidden
from pybuild.runtime.chrooted.replacements import Make, Places
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.paths.in_root import open_inside
from pybuild.runtime.records import Operation
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.hostfiles import host_files
from pybuild.runtime.sandbox.inside.detached_root import SYSTEM_DIRECTORIES, refuse_system_directory
from pybuild.runtime.sandbox.inside.proc_files import fill_proc
from pybuild.runtime.sandbox.spec import Bind, BindRoot, DeviceNode, FileMount, FileSystem, Mount, Spec, Tmpfs
from pybuild.runtime.values import frozen

_MODES = {b"/proc": 0o555, b"/sys": 0o555, b"/dev": 0o755}
_SYSTEM = {b"/proc": fill_proc, b"/sys": sys_and_dev.make_sys, b"/dev": sys_and_dev.make_dev}


@frozen
class Filled:
    """What `fill` has made: the *streams* of `sys_and_dev.open_streams`, and the *hidden* content of secrets.

    *secrets* are the paths in the tree of the files that stand for these.
    """

    streams: tuple[tuple[int, int], ...]
    hidden: tuple[Hidden, ...]
    secrets: tuple[bytes, ...]


def fill(places: Places, sandbox: Spec) -> Filled:
    """Put /proc, /sys, /dev and all mounts of *sandbox* into the tree, outer ones first."""
    for target in SYSTEM_DIRECTORIES:
        _refuse_other_than_directory(places, target)
        with Operation("make", target):
            places.put(target, partial(_directory, _MODES[target], _SYSTEM[target]), directory=True)
    dev = open_inside(places.tree, b"/dev", os.O_PATH | os.O_DIRECTORY)
    hidden = {}
    try:
        for mount in sorted((*host_files(sandbox), *sandbox.mounts), key=_depth):
            path = _place(places, mount, tuple(map(os.fsencode, os.listdir(f"/proc/self/fd/{dev}"))))
            if isinstance(mount, FileMount) and mount.secret:
                hidden[path] = _hidden(places, mount, path)
        streams = tuple(sys_and_dev.open_streams(dev))
        return Filled(streams=streams, hidden=tuple(hidden.values()), secrets=tuple(hidden))
    finally:
        os.close(dev)


def _refuse_other_than_directory(places: Places, target: bytes) -> None:
    """Raise when the tree has something else than a directory at *target*, also a symlink, as with other isolation."""
    operation = Operation("find mount point", target)
    with operation, suppress(FileNotFoundError):
        if not S_ISDIR(os.stat(target[1:], dir_fd=places.tree, follow_symlinks=False).st_mode):
            raise operation.failed(ENOTDIR, "the image has something else than a directory there")


def _depth(mount: Mount) -> int:
    return len([part for part in str(mount.target).split("/") if part])


def _place(places: Places, mount: Mount, devices: tuple[bytes, ...]) -> bytes:
    """Put what replaces *mount* into the tree, and return its path there. *devices* are the names in /dev."""
    target = os.fsencode(normpath("/" + str(mount.target).lstrip("/")))
    # Called like the operation of a mount, so that users read the same words for the same mistake.
    operation = Operation(f"mount {_kind(mount)} on", target)
    refuse_system_directory(operation, target, devices)
    with operation:
        if isinstance(mount, Bind) and mount.movable and not mount.read_only:
            path = places.lend(target, mount.host_path)
        elif isinstance(mount, Bind) and mount.host_path.is_socket():
            path = places.link(target, mount.host_path)
        else:
            make, directory = _maker(mount, places)
            path = places.put(target, make, directory=directory)
    # Checked again with the real path, since a symlink of the image may lead there.
    refuse_system_directory(operation, path, devices)
    return path


def _hidden(places: Places, mount: FileMount, path: bytes) -> Hidden:
    found = os.stat(path.lstrip(b"/"), dir_fd=places.tree, follow_symlinks=False)
    return Hidden(mount.content, found.st_dev, found.st_ino)


def _kind(mount: Mount) -> str:
    return type(mount).__name__.removesuffix("Root").removesuffix("Mount").lower()


def _maker(mount: Mount, places: Places) -> tuple[Make, bool]:
    """Return what makes the thing that stands for *mount*, and whether it is a directory."""
    match mount:
        case FileMount():
            return partial(_file, mount), False
        case Tmpfs():
            return partial(_scratch, mount, _mode_at(places, mount) if mount.mode is None else mount.mode), True
        case Bind():
            return _bound(mount)
        case BindRoot():
            return _bound_inside(mount)
        case DeviceNode() | FileSystem():
            raise SandboxUnavailable("isolation chroot has no devices of the host", isolation.IN_CONTAINER)
        case _:
            assert_never(mount)


def _file(mount: FileMount, parent: int, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=parent), "wb") as file:
        if mount.secret:
            # The content never reaches the disk: `inside.opener` returns it to whoever opens this file.
            os.ftruncate(file.fileno(), len(mount.content))
        else:
            file.write(mount.content)
        os.fchown(file.fileno(), mount.uid, mount.gid)
        os.fchmod(file.fileno(), mount.mode)


def _mode_at(places: Places, mount: Tmpfs) -> int:
    """Return the mode of the directory that *mount* hides, which Docker gives to a tmpfs without a mode."""
    try:
        found = open_inside(places.tree, os.fsencode(mount.target))
    except OSError:  # there is none
        return 0o1777
    try:
        return S_IMODE(os.fstat(found).st_mode)
    finally:
        os.close(found)


def _scratch(mount: Tmpfs, mode: int, parent: int, name: str) -> None:
    _directory(mode, None, parent, name)
    os.chown(name, mount.uid, mount.gid, dir_fd=parent, follow_symlinks=False)
    os.chmod(name, mode, dir_fd=parent)


def _directory(mode: int, fill: Callable[[int], None] | None, parent: int, name: str) -> None:
    os.mkdir(name, dir_fd=parent)
    os.chmod(name, mode, dir_fd=parent)
    if fill is not None:
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            fill(made)
        finally:
            os.close(made)


def _bound(mount: Bind) -> tuple[Make, bool]:
    """Return what makes a copy of a file or directory of the host, and whether it is a directory."""
    path = mount.host_path
    if not (mount.read_only or mount.movable):
        raise SandboxUnavailable(
            f"isolation chroot copies what is mounted, and {path} is to be written",
            "mount it read-only: HOST:TARGET:ro",
        )
    source = os.open(path, os.O_PATH | os.O_CLOEXEC)
    return partial(copy_into, source), path.is_dir()


def _bound_inside(mount: BindRoot) -> tuple[Make, bool]:
    """Return what makes a copy of a path in another root, which must be a tree, and whether it is a directory."""
    if not isinstance(mount.root, DirectoryRoot):
        raise SandboxUnavailable("isolation chroot works on copies alone", "unset $PYBUILD_SNAPSHOTTER")
    root = os.open(mount.root.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = open_inside(root, os.fsencode(mount.source))
    finally:
        os.close(root)
    return partial(copy_into, source), os.path.isdir(f"/proc/self/fd/{source}")
