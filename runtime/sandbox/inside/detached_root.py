"""The root of a sandbox with everything mounted in it. The keeper builds it, the first process enters it."""

import os
from errno import EBUSY, EINVAL, ENOTDIR

from pybuild.runtime.kernel.detached_mounts import clone, is_directory
from pybuild.runtime.kernel.syscalls import (
    AT_FDCWD,
    MNT_DETACH,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_RDONLY,
    mount_setattr,
    move_mount,
    pivot_root,
    umount2,
)
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.devices import Nodes, make_dev
from pybuild.runtime.sandbox.inside.mounts import Mount, Tmpfs
from pybuild.runtime.sandbox.inside.plan import OWN_ROOT, SandboxPlan, SandboxSettings, Status
from pybuild.runtime.sandbox.inside.privileges import give_up_chroot
from pybuild.runtime.sandbox.inside.proc_and_sys import make_sys
from pybuild.runtime.sandbox.inside.root import OverlayRoot
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from pybuild.runtime.sandbox.inside.stubs import Stubs

SYSTEM_DIRECTORIES = (b"/proc", b"/sys", b"/dev")
_SHARED_MEMORY = b"/dev/shm"


class SystemMounts:
    """The mounts that every sandbox has and that depend on no image, /dev and /sys, before there is a root for them."""

    __slots__ = ("dev", "nodes", "scratch", "sys")

    def __init__(self, *, records: bool = False) -> None:
        """Mount the scratch space. With *records*, owners of its files are recorded instead of changed."""
        self.scratch = ScratchSpace()
        if records:
            self.scratch.set_owner = _record_owner
        self.nodes = Nodes(self.scratch)
        self.dev = self.sys = -1

    def build(self, settings: SandboxSettings) -> None:
        """Make the mounts in the scratch space; `DetachedRoot` moves them into the root."""
        insecure = settings.isolation.insecure
        self.dev = make_dev(self.scratch.directory("dev"), self.nodes, shm_size=settings.shm_size, insecure=insecure)
        self.sys = make_sys(self.scratch.directory("sys"), self.nodes, insecure=insecure)


class DetachedRoot:
    """A root with its mounts, in the keeper's mount namespace, where it is only reached by descriptor."""

    __slots__ = ("_devices", "_insecure", "_place", "_stubs", "dev", "proc", "root")

    def __init__(self, plan: SandboxPlan, stubs: Stubs, system: SystemMounts, made: dict[bytes, int]) -> None:
        """Mount everything but /proc, which the first process must mount. *stubs* gets the mount points made.

        *made* are detached mounts, by their targets, that are there already.
        """
        scratch = system.scratch
        self._insecure = plan.settings.isolation.insecure
        self._stubs = stubs
        # Before any source is opened, so that the error is about the target.
        for mount in plan.mounts:
            refuse_system_directory(_attaching(mount), mount.target, ())
        # Sources come first, because a mount point must be a directory or a file as its source is.
        trees = [
            (mount, made[mount.target] if mount.target in made else mount.make(scratch))
            for mount in sorted(plan.mounts, key=_depth)
        ]
        planted = scratch.directory("stubs")
        directories = tuple((path, True) for path in SYSTEM_DIRECTORIES)
        upper = plan.root.upper if isinstance(plan.root, OverlayRoot) else b""
        stubs.plant(planted, (*directories, *((mount.target, is_directory(tree)) for mount, tree in trees)), upper)
        # With nodev, device nodes of the image, or made by the process, cannot be opened. No devices cgroup is needed.
        self.root = plan.root.make(scratch, planted, 0 if self._insecure else MOUNT_ATTR_NODEV)
        stubs.note_visible(self.root)
        self._place = scratch.attach(self.root)
        self.proc, sys, dev = (self._system_directory(path) for path in SYSTEM_DIRECTORIES)
        self.dev = system.dev
        self._devices = _names_in(self.dev)
        for name, tree, target in ((b"/dev", system.dev, dev), (b"/sys", system.sys, sys)):
            with Operation("mount", name):
                move_mount(tree, target)
        for mount, tree in trees:
            self._attach(mount, tree)
        if plan.settings.read_only:
            self._make_read_only(scratch)

    def _system_directory(self, path: bytes) -> int:
        """Return the directory *path*; one that is a symlink is refused (CVE-2019-19921, CVE-2026-41579)."""
        operation = Operation("find mount point", path)
        with operation:
            try:
                return os.open(path[1:], os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.root)
            except FileNotFoundError:
                return self._stubs.make(self.root, path[1:], directory=True)
            except NotADirectoryError:
                raise operation.failed(ENOTDIR, "the image has something else than a directory there") from None

    def _make_read_only(self, scratch: ScratchSpace) -> None:
        """Replace the root by a read-only bind mount of it. Stubs are removed later through the first, writable one."""
        with Operation("make the root read-only"):
            copy = clone(self.root, recursive=True)
            # Not recursive: the attribute is one of the mount of the root, and what is mounted in it stays writable.
            mount_setattr(copy, MOUNT_ATTR_RDONLY)
            self._place = scratch.attach(copy)
            # The mount point of /proc is that of the copy, which becomes the root.
            self.root, self.proc = copy, os.open(b"proc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=copy)

    def _attach(self, mount: Mount, tree: int) -> None:
        operation = _attaching(mount)
        refuse_system_directory(operation, mount.target, self._devices)
        with operation:
            target = self._stubs.open(self.root, mount.target, directory=is_directory(tree))
            if isinstance(mount, Tmpfs):
                mount.finish(tree, None if self._stubs.has_made(target) else target)
            # Checked again with the real path, since a symlink of the image may have led to a system directory.
            place = os.readlink(b"/proc/self/fd/%d" % target)
            refuse_system_directory(operation, place.removeprefix(self._place), self._devices)
            move_mount(tree, target)
            os.close(target)


def _record_owner(fd: int, uid: int, gid: int) -> None:
    from pybuild.runtime.sandbox.inside.supervision import record_owner

    record_owner(fd, uid, gid)


def enter_root(root: int, settings: SandboxSettings, status: Status) -> None:
    """Make *root* the root of this process, which must be the first one inside, and unmount everything else.

    Where the host refuses pivot_root(2), the root is moved over the old one and entered by chroot(2), OWN_ROOT is
    reported to *status*, and CAP_SYS_CHROOT is dropped, because with it the process could leave.
    """
    with Operation("enter the root"):
        os.fchdir(root)
        try:
            # With "." for both, the old root ends up on top of the new one (pivot_root(2)), so it needs no directory.
            pivot_root(".", ".")
        except PermissionError:  # a container's filter. The mount namespace is this sandbox's all the same.
            if not settings.isolation.may_degrade:
                raise
            status.report_lack(OWN_ROOT)
            move_mount(root, AT_FDCWD, "/")
            os.chroot(".")
            give_up_chroot()
        else:
            umount2(".", MNT_DETACH)  # the scratch tmpfs, which was on top of the old root
            umount2(".", MNT_DETACH)  # the old root
        os.chdir("/")
        # If a mount were left on top of the root, "/.." would lead to it.
        if not os.path.samestat(os.stat("/.."), os.stat("/")):
            raise OSError(EBUSY, os.strerror(EBUSY), "/")


def _attaching(mount: Mount) -> Operation:
    return Operation(f"mount {mount.describe()} on", mount.target)


def _depth(mount: Mount) -> int:
    # A mount point below another one is only reached after that one is mounted, so outer ones come first.
    return len([part for part in mount.target.split(b"/") if part])


def _names_in(directory: int) -> tuple[bytes, ...]:
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return tuple(map(os.fsencode, os.listdir(opened)))
    finally:
        os.close(opened)


def refuse_system_directory(operation: Operation, path: bytes, devices: tuple[bytes, ...]) -> None:
    """Raise for a mount on what the sandbox mounts itself. In /dev only the names *devices* and all below are taken."""
    if path.strip(b"/") == b"":
        raise operation.failed(EINVAL, "the root itself cannot be a mount target")
    if path in SYSTEM_DIRECTORIES or _is_below(path, b"/proc") or _is_below(path, b"/sys"):
        raise operation.failed(EINVAL, "mounts on /dev, in /proc and in /sys are not allowed")
    own = any(_is_below(path, b"/dev/" + name) for name in devices)
    if own and not _is_below(path, _SHARED_MEMORY):
        raise operation.failed(EINVAL, "the sandbox has something of its own there")


def _is_below(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory + b"/")
