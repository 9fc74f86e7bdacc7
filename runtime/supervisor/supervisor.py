"""Answers the calls that the filter of a step passes on, one after the other, until no process of the step is left."""

import os
import stat
import struct
from collections.abc import Callable
from errno import EINVAL, EIO, ENOSYS, EPERM

from pybuild.runtime.kernel.capabilities import mask
from pybuild.runtime.ownership.record import DEVICES
from pybuild.runtime.supervisor import socket_calls, xattr_calls
from pybuild.runtime.supervisor.caller import AT_FDCWD, Answer, Arguments, Caller, Handler, signed
from pybuild.runtime.supervisor.create_calls import Creator
from pybuild.runtime.supervisor.files import AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, OwnedFiles, PathArguments
from pybuild.runtime.supervisor.id_calls import IdAnswers, note_exec
from pybuild.runtime.supervisor.identities import Identities
from pybuild.runtime.supervisor.interruptions import OPENING, Interruptions
from pybuild.runtime.supervisor.listener import Listener, Notification, StaleCallError
from pybuild.runtime.supervisor.stat_calls import StatusAnswers
from pybuild.runtime.supervisor.values import Supervision

_HOW = struct.Struct("=QQQ")
_NO_FOLLOW, _FOLLOW = AT_SYMLINK_NOFOLLOW, 0x400  # AT_SYMLINK_FOLLOW
_CREAT = os.O_CREAT | os.O_WRONLY | os.O_TRUNC


class Supervisor:
    """The supervisor of one sandbox, whose root is that of this process. *upper* is that of `OwnedFiles`."""

    def __init__(self, listener: Listener, supervision: Supervision, machine: str, upper: int = -1) -> None:
        self._listener, self._may = listener, supervision.capabilities
        self.identities = Identities()
        self.files = OwnedFiles(self.identities, upper, may_chown=bool(self._may & mask("CHOWN")))
        calls = {number: name.decode() for number, name in supervision.calls}
        self._status = StatusAnswers(self.files, machine)
        self._creator = Creator(self.files, self.identities)
        self._ids = IdAnswers(self.identities, self._may)
        self._interruptions = Interruptions(listener, self.files, calls)
        handlers = self._handlers()
        self._handlers_by_number = {number: handlers[name] for number, name in calls.items()}
        self._opens = {number for number, name in calls.items() if name in OPENING}

    def serve(self) -> None:
        """Answer calls until no process of the step is left."""
        self._interruptions.start()
        self._listener.attend(self._interruptions.stops, self._interruptions.serve)
        while (call := self._listener.receive()) is not None:
            self._serve(call)

    def _serve(self, call: Notification) -> None:
        try:
            with Caller(self._listener, call) as caller:
                answer = self._handlers_by_number[call.number](caller, call.arguments)
                if answer is None:
                    self._listener.proceed(call)
                elif call.number in self._opens and answer >= 0:
                    self._hand_over(call, answer)
                else:
                    self._listener.answer(call, answer)
        except StaleCallError:  # nobody waits for the answer, and nothing was changed
            return
        except OSError as error:
            self._listener.answer(call, -(error.errno or EIO))
        except (ValueError, OverflowError):  # an argument that Python refuses, such as a path with a NUL
            self._listener.answer(call, -EINVAL)

    def _hand_over(self, call: Notification, fd: int) -> None:
        try:
            self._listener.hand_over(call, fd, close_on_exec=self._creator.close_on_exec)
        finally:
            os.close(fd)

    def _handlers(self) -> dict[str, Handler]:
        return {
            **self._status_handlers(),
            **self._attribute_handlers(),
            **self._creating_handlers(),
            **self._keeping_handlers(),
            **self._ids.handlers(),
            "chroot": self._chroot,
            "rt_sigaction": self._interruptions.note_handler,
        }

    def _status_handlers(self) -> dict[str, Handler]:
        files, status = self.files, self._status

        def answer(done: bool) -> Answer:
            return 0 if done else None

        return {
            "stat": lambda c, a: answer(status.by_name(c, (AT_FDCWD, a[0], 0), a[1])),
            "lstat": lambda c, a: answer(status.by_name(c, (AT_FDCWD, a[0], _NO_FOLLOW), a[1])),
            "fstat": lambda c, a: answer(status.by_descriptor(c, signed(a[0]), a[1])),
            "newfstatat": lambda c, a: answer(status.by_name(c, (signed(a[0]), a[1], a[3]), a[2])),
            "statx": lambda c, a: answer(status.extended(c, (signed(a[0]), a[1], a[2]), a[3], a[4])),
            "chown": lambda c, a: files.chown(c, (AT_FDCWD, a[0], 0), _ids(a[1], a[2])),
            "lchown": lambda c, a: files.chown(c, (AT_FDCWD, a[0], _NO_FOLLOW), _ids(a[1], a[2])),
            "fchown": lambda c, a: files.fchown(c, signed(a[0]), _ids(a[1], a[2])),
            "fchownat": lambda c, a: files.chown(c, (signed(a[0]), a[1], signed(a[4])), _ids(a[2], a[3])),
        }

    def _attribute_handlers(self) -> dict[str, Handler]:
        files = self.files

        def listed(c: Caller, a: Arguments, *, follow: bool) -> Answer:
            place = files.place(c, (AT_FDCWD, a[0], 0))
            return xattr_calls.names(files, c, place, (a[1], a[2]), follow=follow)

        def changing(answer: Callable[[Caller, int], Answer], at: _At) -> Handler:
            def handle(c: Caller, a: Arguments) -> Answer:
                answered = answer(c, a[1])
                if answered is None:
                    files.keep_owner(c, at(a))
                return answered

            return handle

        ways = {"": _path, "l": _link, "f": _descriptor}
        return {
            **{f"{kind}getxattr": lambda c, a: xattr_calls.get(c, a[1]) for kind in ways},
            **{f"{kind}removexattr": changing(xattr_calls.get, at) for kind, at in ways.items()},
            **{f"{kind}setxattr": changing(xattr_calls.put, at) for kind, at in ways.items()},
            "listxattr": lambda c, a: listed(c, a, follow=True),
            "llistxattr": lambda c, a: listed(c, a, follow=False),
            "flistxattr": lambda c, a: xattr_calls.names(
                files, c, c.descriptor(signed(a[0])), (a[1], a[2]), follow=True
            ),
        }

    def _creating_handlers(self) -> dict[str, Handler]:
        creator = self._creator

        def place(c: Caller, path: int, directory: int = AT_FDCWD) -> bytes:
            return self.files.place(c, (signed(directory), path, 0))

        return {
            "open": lambda c, a: creator.open(c, place(c, a[0]), a[1], a[2]),
            "creat": lambda c, a: creator.open(c, place(c, a[0]), _CREAT, a[1]),
            "openat": lambda c, a: creator.open(c, place(c, a[1], a[0]), a[2], a[3]),
            "openat2": self._openat2,
            "mkdir": lambda c, a: creator.mkdir(c, place(c, a[0]), a[1]),
            "mkdirat": lambda c, a: creator.mkdir(c, place(c, a[1], a[0]), a[2]),
            "symlink": lambda c, a: creator.symlink(c, c.text(a[0]), place(c, a[1])),
            "symlinkat": lambda c, a: creator.symlink(c, c.text(a[0]), place(c, a[2], a[1])),
            "mknod": lambda c, a: self._mknod(c, place(c, a[0]), a[1], a[2]),
            "mknodat": lambda c, a: self._mknod(c, place(c, a[1], a[0]), a[2], a[3]),
            "bind": lambda c, a: socket_calls.bind(c, creator, a),
        }

    def _mknod(self, caller: Caller, place: bytes, mode: int, device: int) -> Answer:
        # As the kernel takes the two arguments: the mode has 16 bits, the number of a device 32.
        mode &= 0xFFFF
        if stat.S_IFMT(mode) in DEVICES and not self._may & mask("MKNOD"):
            return -EPERM
        return self._creator.mknod(caller, place, mode, device & 0xFFFFFFFF)

    def _keeping_handlers(self) -> dict[str, Handler]:
        """Return the handlers of calls that the kernel carries out: overlayfs may copy a file up, a program set ids."""

        def kept(at: _At) -> Handler:
            return lambda c, a: self.files.keep_owner(c, at(a))

        def below(flags: Callable[[Arguments], int]) -> Handler:
            # Without a path, utimensat(2) and futimesat(2) are about the descriptor.
            return kept(lambda a: (signed(a[0]), a[1], flags(a) if a[1] else AT_EMPTY_PATH))

        return {
            **{name: kept(_link) for name in ("rename", "link")},
            **{name: kept(_path) for name in ("chmod", "utime", "utimes")},
            "fchmod": kept(_descriptor),
            **{name: below(lambda _: _NO_FOLLOW) for name in ("renameat", "renameat2")},
            **{name: below(lambda _: 0) for name in ("fchmodat", "futimesat")},
            **{name: below(lambda a: a[3]) for name in ("fchmodat2", "utimensat")},
            "linkat": below(lambda a: a[4] & AT_EMPTY_PATH | (0 if a[4] & _FOLLOW else _NO_FOLLOW)),
            "execve": lambda c, a: note_exec(c, self.files, self.identities, (AT_FDCWD, a[0], 0)),
            "execveat": lambda c, a: note_exec(c, self.files, self.identities, (signed(a[0]), a[1], a[4])),
        }

    def _openat2(self, caller: Caller, a: Arguments) -> Answer:
        flags, mode, resolve = _HOW.unpack(caller.read(a[2], _HOW.size))
        if not flags & os.O_CREAT:
            return None
        if resolve:  # path rules that this class does not have; programs fall back to openat
            return -ENOSYS
        return self._creator.open(caller, self.files.place(caller, (signed(a[0]), a[1], 0)), flags, mode)

    def _chroot(self, _caller: Caller, _: Arguments) -> Answer:
        """Note that callers may have different roots from now on, and let the kernel carry out the call."""
        self.files.has_roots = True
        return None


_At = Callable[[Arguments], PathArguments]
"""Returns which file the arguments of a call name."""


def _path(a: Arguments) -> PathArguments:
    return AT_FDCWD, a[0], 0


def _link(a: Arguments) -> PathArguments:
    return AT_FDCWD, a[0], _NO_FOLLOW


def _descriptor(a: Arguments) -> PathArguments:
    return signed(a[0]), 0, AT_EMPTY_PATH


def _ids(uid: int, gid: int) -> tuple[int, int]:
    return uid & 0xFFFFFFFF, gid & 0xFFFFFFFF
