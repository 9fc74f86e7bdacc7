"""The opener: a process that is asked at each open(2) of a step with secrets, whose content must not be in the tree.

In the tree is a file without the content, which is recognised by its inode. A caller that opens it gets a descriptor of
the content, which is in memory. All other calls are left to the kernel, so a path that was resolved wrongly gives
nothing away. The opener has the root of the step, and takes the ids of the caller to resolve a path: without
CAP_SYS_PTRACE, root may not look into the /proc entries of another user's process. Into one that is not dumpable nobody
may look; `chrooted.run` notices if that opens the file without the content.

Considered: stopping open(2) in every step, which would allow /proc/self, /dev/stdout and read-only mounts. It takes
0.1 ms for each file, twice the time of an `apt-get install`, and no directory could be returned, since ".." of a
directory outside leads out of a chroot.
"""

import fcntl
import os
from errno import EACCES, EIO, EROFS
from stat import S_IMODE
from struct import Struct

from pybuild.runtime.chrooted.inside.values import Hidden
from pybuild.runtime.kernel.syscalls import PR_SET_PDEATHSIG, SIGKILL, close_range, openat2, prctl, set_file_ids
from pybuild.runtime.supervisor.caller import AT_FDCWD, Caller, signed
from pybuild.runtime.supervisor.listener import Listener, Notification, StaleCallError

_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE
_ADD_SEALS = 1033
_READ = 0o4
_OPENAT2, _HOW = 437, Struct("=QQQ")
_NEVER_OPENED = (os.O_PATH, os.O_DIRECTORY, os.O_CREAT | os.O_EXCL)
"""Flags with which nothing is read of a file that is there: the kernel fails, or returns what leads to no content."""
Ids = tuple[int, int, tuple[int, ...]]
"""The user, the group and the supplementary groups of a caller that decide what it may open."""


def fork_opener(listener: int, root: bytes, hidden: tuple[Hidden, ...], calls: tuple[tuple[int, int], ...]) -> None:
    """Start the opener. It ends with the caller, and when no process with the filter of *listener* is left.

    *calls* are the numbers of the calls that it is asked about, each with the index of the path among the arguments.
    """
    parent = os.getpid()
    if os.fork():
        return
    try:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() == parent:
            _Opener(listener, root, hidden, dict(calls)).serve()
    finally:
        os._exit(0)


class _Opener:
    def __init__(self, listener: int, root: bytes, hidden: tuple[Hidden, ...], calls: dict[int, int]) -> None:
        os.dup2(listener, 3, inheritable=False)
        close_range(4)
        self._listener, self._calls = Listener(3), calls
        self._contents = {(each.device, each.inode): _sealed(each.content) for each in hidden}
        # `Caller` finds a caller by its number in the working directory, as there is no /proc below the new root.
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chroot(root)
        os.fchdir(proc)

    def serve(self) -> None:
        while (call := self._listener.receive()) is not None:
            try:
                self._serve(call)
            except StaleCallError:
                continue
            except OSError as error:
                self._listener.answer(call, -(error.errno or EIO))

    def _serve(self, call: Notification) -> None:
        # `check` comes after it: the number was the caller's when its ids were read.
        ids = _ids_of(call.tid)
        with Caller(self._listener, call) as caller:
            caller.check()
            try:
                flags, resolve = self._how(caller)
                found = self._found(caller, ids, flags, resolve)
            except OSError:  # nothing is there, or the caller may not reach it: the kernel will give the error
                found = None
        if found is None:
            self._listener.proceed(call)
        elif flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            self._listener.answer(call, -EROFS)
        elif not _may_read(found, ids):
            self._listener.answer(call, -EACCES)
        else:
            content = self._contents[found.st_dev, found.st_ino]
            # Opened again, because a copy of the descriptor would share the position in the file with others.
            fd = os.open(b"self/fd/%d" % content, os.O_RDONLY | os.O_CLOEXEC)
            self._listener.hand_over(call, fd, close_on_exec=bool(flags & os.O_CLOEXEC))
            os.close(fd)

    def _how(self, caller: Caller) -> tuple[int, int]:
        """Return the flags of the call, and the rules for its path: openat2(2) has both in a struct in memory."""
        value = caller.call.arguments[self._calls[caller.call.number] + 1]
        if caller.call.number != _OPENAT2:
            return value, 0
        flags, _, resolve = _HOW.unpack(caller.read(value, _HOW.size))
        return flags, resolve

    def _found(self, caller: Caller, ids: Ids, flags: int, resolve: int) -> os.stat_result | None:
        """Return the status of the file that the caller opens if it is that of a secret, else None. Raises OSError."""
        if any(flags & each == each for each in _NEVER_OPENED):
            return None
        index = self._calls[caller.call.number]
        directory = signed(caller.call.arguments[index - 1]) if index else AT_FDCWD
        user, group, groups = ids
        if user:
            os.setgroups(groups)
        set_file_ids(user, group)
        try:
            path = caller.text(caller.call.arguments[index])
            opened = _open(caller, directory, path, flags & os.O_NOFOLLOW, resolve)
        finally:
            set_file_ids(0, 0)
        found = os.fstat(opened)
        os.close(opened)
        return found if (found.st_dev, found.st_ino) in self._contents else None


def _open(caller: Caller, directory: int, path: bytes, no_follow: int, resolve: int) -> int:
    """Return an O_PATH descriptor of *path* as *caller* would open it, under the rules *resolve* of openat2(2)."""
    if not resolve:
        return caller.open(caller.place(directory, path), follow=not no_follow)
    start = caller.open(caller.place(directory, b"."), follow=True)
    try:
        return openat2(start, path, os.O_PATH | no_follow, resolve=resolve)
    finally:
        os.close(start)


def _ids_of(tid: int) -> Ids:
    """Return the ids of a thread for files: the last of the four numbers in the lines Uid and Gid of its status."""
    with open(b"%d/status" % tid, "rb", buffering=0) as file:
        lines = dict(line.partition(b":")[::2] for line in file.readall().splitlines())
    user, group = (int(lines[name].split()[3]) for name in (b"Uid", b"Gid"))
    return user, group, tuple(map(int, lines[b"Groups"].split()))


def _may_read(found: os.stat_result, ids: Ids) -> bool:
    """Return whether the owner and mode of the file in the tree permit *ids* to read it, as the kernel decides it."""
    user, group, groups = ids
    mode = S_IMODE(found.st_mode)
    if user in {0, found.st_uid}:
        return user == 0 or bool(mode >> 6 & _READ)
    return bool((mode >> 3 if found.st_gid in {group, *groups} else mode) & _READ)


def _sealed(content: bytes) -> int:
    """Return a file in memory that nobody can change."""
    fd = os.memfd_create("secret", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    fcntl.fcntl(fd, _ADD_SEALS, _SEALS)
    return fd
