"""The descriptor from which a supervisor receives system calls, and by which it answers (seccomp_unotify(2))."""

import fcntl
import os
import select
import struct
from collections.abc import Callable
from contextlib import suppress

from pybuild.runtime.kernel.pidfd import open_thread

# SECCOMP_IOCTL_NOTIF_RECV, _SEND, _ID_VALID, _ADDFD and _SET_FLAGS, and below the structs that they take: seccomp_notif
# with a seccomp_data at its end, seccomp_notif_resp and seccomp_notif_addfd (linux/seccomp.h).
_RECEIVE, _SEND, _IS_VALID, _ADD_DESCRIPTOR, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103, 0x40082104
_SYNCHRONOUS = 1
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_ADDED = struct.Struct("=QIIII")
# SECCOMP_USER_NOTIF_FLAG_CONTINUE, and SECCOMP_ADDFD_FLAG_SEND, by which the call returns the new descriptor at once.
_CONTINUE, _ADD_AND_ANSWER = 1, 2
_EMPTY = bytes(_NOTIFICATION.size)
_NUMBER = b"Pid:"
_NUMBERS = b"NSpid:"
"""The numbers of a thread in each PID namespace, from that of the /proc inwards."""


class StaleCallError(Exception):
    """The process that made the call has died, so that its number may be that of another process."""


NameOf = Callable[[int], bytes]
"""Returns the name of the directory of a thread in /proc."""


def own_name(tid: int) -> bytes:
    """Return the name of a thread in the /proc of this PID namespace."""
    return b"%d" % tid


def outer_name(tid: int) -> bytes:
    """Return the name of a thread in the working directory, which is the /proc of an outer PID namespace.

    The fdinfo of a pidfd has the number that the process has there. Like every number, it may be another thread's once
    the call is over, so `Listener.check` must be called after it was used.

    Raises:
        StaleCallError: the thread has ended.
    """
    try:
        return b"%d" % _outer_number(open_thread(tid))
    except ProcessLookupError:
        raise StaleCallError from None
    except OSError:  # Linux before 6.9: it is not the first thread of its process
        return _name_of_later_thread(tid)


def _outer_number(pidfd: int) -> int:
    """Return the number of a process outside, and close its pidfd. Raises StaleCallError when it has ended."""
    try:
        number = int(_line(b"self/fdinfo/%d" % pidfd, _NUMBER)[0])
    finally:
        os.close(pidfd)
    if number <= 0:
        raise StaleCallError
    return number


def _line(path: bytes, name: bytes) -> list[bytes]:
    """Return the words of the line *name* of a file in /proc."""
    with open(path, "rb", buffering=0) as file:
        return next(line[len(name) :].split() for line in file.readall().splitlines() if line.startswith(name))


def _name_of_later_thread(tid: int) -> bytes:
    """Return the name of a thread by a look at the numbers of all, in each PID namespace from the outer one inwards."""
    level = len(_line(b"self/status", _NUMBERS)) - 1
    for process in filter(bytes.isdigit, os.listdir(b".")):
        with suppress(OSError, StaleCallError):  # it has ended meanwhile
            for task in os.listdir(process + b"/task"):
                numbers = _line(task + b"/status", _NUMBERS)
                if len(numbers) > level and int(numbers[level]) == tid and _is_seen(process, level):
                    return task
    raise StaleCallError


def _is_seen(process: bytes, level: int) -> bool:
    """Return whether a process is below this PID namespace: numbers of others beside it may be the same."""
    number = int(_line(process + b"/status", _NUMBERS)[level])
    return _outer_number(os.pidfd_open(number)) == int(process)


def threads_of(name: bytes) -> list[int]:
    """Return the numbers of the threads of a process, by the name of its directory in the working directory."""
    level = len(_line(b"self/status", _NUMBERS)) - 1
    found = []
    for task in os.listdir(name + b"/task"):
        with suppress(OSError, StopIteration):  # it has ended meanwhile
            found.append(int(_line(b"%b/task/%b/status" % (name, task), _NUMBERS)[level]))
    return found


class Notification:
    """A call that waits for an answer: its id, the thread, the number of the call, and its arguments.

    These are copies, which the caller cannot change, unlike the memory that an argument points to.
    """

    __slots__ = ("arguments", "id", "number", "tid")

    def __init__(self, key: int, tid: int, number: int, arguments: tuple[int, ...]) -> None:
        self.id, self.tid, self.number, self.arguments = key, tid, number, arguments


class Listener:
    """Receives notifications and answers them."""

    __slots__ = ("_attended", "_buffer", "_fd", "_poller", "name_of")

    def __init__(self, fd: int, name_of: NameOf = own_name) -> None:
        """Use the descriptor *fd*, which `seccomp_listener` has returned.

        *name_of* is `own_name` or `outer_name`, by the /proc that is the working directory.
        """
        self._fd, self.name_of = fd, name_of
        self._buffer = bytearray(_EMPTY)
        self._poller = select.poll()
        self._poller.register(fd, select.POLLIN)
        self._attended: dict[int, Callable[[], None]] = {}
        # Caller and supervisor take turns, which is several times as fast if the kernel wakes each of them on the
        # processor of the other one (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP).
        with suppress(OSError):  # Linux before 6.6
            fcntl.ioctl(fd, _SET_FLAGS, _SYNCHRONOUS)

    def attend(self, fd: int, serve: Callable[[], None]) -> None:
        """Have `receive` call *serve* whenever *fd* is readable."""
        self._attended[fd] = serve
        self._poller.register(fd, select.POLLIN)

    def receive(self) -> Notification | None:
        """Wait for a call and return it; None when no process with the filter is left."""
        while True:
            # Without poll(2), the ioctl would wait for ever before Linux 6.11 when the last process has ended.
            ready = dict(self._poller.poll())
            for fd, serve in self._attended.items():
                if fd in ready:
                    serve()
            events = ready.get(self._fd)
            if events is None:
                continue
            if not events & select.POLLIN:
                return None
            self._buffer[:] = _EMPTY  # the kernel requires zeros
            try:
                fcntl.ioctl(self._fd, _RECEIVE, self._buffer)
            except OSError:  # ENOENT: the process has died meanwhile
                continue
            key, tid, _, number, _, _, *arguments = _NOTIFICATION.unpack(self._buffer)
            return Notification(key, tid, number, tuple(arguments))

    def check(self, call: Notification) -> None:
        """Raise StaleCallError if *call* no longer waits, and its thread number may belong to another process."""
        try:
            fcntl.ioctl(self._fd, _IS_VALID, struct.pack("=Q", call.id))
        except OSError:
            raise StaleCallError from None

    def answer(self, call: Notification, value: int) -> None:
        """Have the call return *value*, a negative errno for failure."""
        self._send(_ANSWER.pack(call.id, max(value, 0), min(value, 0), 0))

    def proceed(self, call: Notification) -> None:
        """Have the kernel carry out the call. It reads the memory of the process anew, which may have changed."""
        self._send(_ANSWER.pack(call.id, 0, 0, _CONTINUE))

    def hand_over(self, call: Notification, fd: int, *, close_on_exec: bool) -> None:
        """Have the call return a copy of the descriptor *fd*, which stays open here."""
        flags = os.O_CLOEXEC if close_on_exec else 0
        self._send(_ADDED.pack(call.id, _ADD_AND_ANSWER, fd, 0, flags), _ADD_DESCRIPTOR)

    def _send(self, message: bytes, request: int = _SEND) -> None:
        try:
            fcntl.ioctl(self._fd, request, message)
        except FileNotFoundError:  # the process has died
            return
