"""The descriptor by which the kernel tells of system calls that wait for an answer (seccomp_unotify(2))."""

import fcntl
import os
import select
import struct
from contextlib import suppress

_RECEIVE, _SEND, _IS_VALID, _ADD_DESCRIPTOR, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103, 0x40082104
_SYNCHRONOUS = 1
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_ADDED = struct.Struct("=QIIII")
_CONTINUE, _ADD_AND_ANSWER = 1, 2
_EMPTY = bytes(_NOTIFICATION.size)


class StaleCallError(Exception):
    """The process that made the call has died, or was interrupted: its number may be another one's by now."""


class Notification:
    """A call that waits: the number of its thread, of the call, and its arguments, none of which can change."""

    __slots__ = ("arguments", "id", "number", "tid")

    def __init__(self, key: int, tid: int, number: int, arguments: tuple[int, ...]) -> None:
        self.id, self.tid, self.number, self.arguments = key, tid, number, arguments


class Listener:
    """Receives notifications and answers them."""

    __slots__ = ("_buffer", "_fd", "_poller")

    def __init__(self, fd: int) -> None:
        """Use the descriptor *fd*, which `seccomp_listener` has returned."""
        self._fd = fd
        self._buffer = bytearray(_EMPTY)
        self._poller = select.poll()
        self._poller.register(fd, select.POLLIN)
        # Who asks and who answers take turns: woken up on the processor of the other one, they do so several times as
        # fast. Not before Linux 6.6.
        with suppress(OSError):
            fcntl.ioctl(fd, _SET_FLAGS, _SYNCHRONOUS)

    def receive(self) -> Notification | None:
        """Wait for a call; None when no process is left that could make one."""
        while True:
            (_, events), *_ = self._poller.poll()
            if not events & select.POLLIN:
                return None
            self._buffer[:] = _EMPTY  # the kernel refuses anything else
            try:
                fcntl.ioctl(self._fd, _RECEIVE, self._buffer)
            except OSError:  # its process has died since
                continue
            key, tid, _, number, _, _, *arguments = _NOTIFICATION.unpack(self._buffer)
            return Notification(key, tid, number, tuple(arguments))

    def check(self, call: Notification) -> None:
        """Raise StaleCallError when *call* waits no more: what was opened by the number of its thread is another's."""
        try:
            fcntl.ioctl(self._fd, _IS_VALID, struct.pack("=Q", call.id))
        except OSError:
            raise StaleCallError from None

    def answer(self, call: Notification, value: int) -> None:
        """Let the call return *value*, a negative errno for failure."""
        self._send(_ANSWER.pack(call.id, max(value, 0), min(value, 0), 0))

    def proceed(self, call: Notification) -> None:
        """Let the kernel carry out the call. What was decided by memory of the process may be different then."""
        self._send(_ANSWER.pack(call.id, 0, 0, _CONTINUE))

    def hand_over(self, call: Notification, fd: int, *, close_on_exec: bool) -> None:
        """Let the call return a descriptor of what *fd* has open, which stays open here."""
        flags = os.O_CLOEXEC if close_on_exec else 0
        self._send(_ADDED.pack(call.id, _ADD_AND_ANSWER, fd, 0, flags), _ADD_DESCRIPTOR)

    def _send(self, message: bytes, request: int = _SEND) -> None:
        try:
            fcntl.ioctl(self._fd, request, message)
        except FileNotFoundError:  # nobody waits for it any more
            return
