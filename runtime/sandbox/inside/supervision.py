"""The guard's side of a supervisor: the guard starts it before the program, and fails the step when it ends first.

The fork server imports this module at its start, and only with isolation single, which alone has supervisors.
"""

import os
from collections.abc import Callable
from errno import EPIPE

from pybuild.runtime.kernel.detached_mounts import INERT, clone, filesystem
from pybuild.runtime.kernel.passing import socket_pair
from pybuild.runtime.kernel.pidfd import reap_children
from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_RDONLY, SIGCHLD, capset, close_range, wait_signal
from pybuild.runtime.ownership.record import FileOwner, write
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.plan import Status
from pybuild.runtime.supervisor.start import be_supervised, fork_supervisor
from pybuild.runtime.supervisor.values import Supervision

_SUPERVISE = Operation("supervise the process")
_CAP_KILL = 1 << 5
Forward = Callable[[int, int], None]
"""Sends a process (first) a signal (second)."""


class Supervised:
    """The supervisor of one sandbox, as its guard has it."""

    __slots__ = ("_ended", "_owners", "_supervisor", "channel")

    def __init__(self, supervision: Supervision, *, strict: bool) -> None:
        """Start it. *channel* is the socket by which the first process inside will reach it."""
        with _SUPERVISE:
            # It is attached nowhere, so that the supervisor alone can use it.
            proc, is_own = _open_proc(strict=strict)
            # Opened now, because the path is one of the host, and pivot_root will move the root of this process. It is
            # a mount of its own, so that ".." does not lead out of it.
            upper = clone(AT_FDCWD, supervision.upper, INERT | MOUNT_ATTR_RDONLY) if supervision.upper else -1
        self.channel, theirs = socket_pair()
        self._supervisor, self._owners = fork_supervisor(supervision, theirs, proc, upper, is_own_proc=is_own)
        self._ended: int | None = None
        for fd in (theirs, proc, upper):
            if fd >= 0:
                os.close(fd)

    def finish(self, process: int, status: Status, forward: Forward) -> None:
        """Drop all privileges, wait for *process* and the supervisor, and report to *status* how they ended.

        *forward* gets the signals that arrive meanwhile.
        """
        self._close_all_but(status)
        capset(_CAP_KILL, _CAP_KILL, 0)
        ended = self._reap_until_end(process, forward)
        with open(self._owners, "rb") as file:
            for line in file.read().splitlines():
                status.report_owner(line)
        status.report_end(ended)

    def _close_all_but(self, status: Status) -> None:
        """Close everything but the pipe of *status* and that of the supervisor, which become 3 and 4."""
        # By way of higher numbers, because one of the two may have the number that the other one is to get.
        first = max(status.fd, self._owners) + 1
        for index, fd in enumerate((status.fd, self._owners)):
            os.dup2(fd, first + index, inheritable=False)
        close_range(3, first - 1)
        for index in (0, 1):
            os.dup2(first + index, 3 + index, inheritable=False)
        close_range(5)
        status.fd, self._owners = 3, 4

    def _reap_until_end(self, process: int, forward: Forward) -> int:
        """Reap children and forward signals until *process* and the supervisor have ended; return its wait status.

        Raises:
            SandboxError: the supervisor failed. Answers to system calls since then, or their lack, were wrong.
        """
        ended: int | None = None
        while ended is None or self._ended is None:
            number = wait_signal()
            if number != SIGCHLD:
                forward(process, number)
                continue
            for pid, status in reap_children():
                if pid == process:
                    ended = status
                elif pid == self._supervisor:
                    self._ended = status
            # It ends with 0 when no process is left that could make a call, which may be before the last one is reaped.
            if self._ended:
                raise _SUPERVISE.failed(EPIPE, "the process that answers its system calls has ended")
        return ended


def record_owner(fd: int, uid: int, gid: int) -> None:
    """Record the owner of an open file, in place of fchown(2)."""
    write(fd, FileOwner(uid, gid))


def start_supervision(channel: int, supervision: Supervision) -> None:
    """Have the supervisor behind *channel* answer the calls of this process from now on. It cannot be undone."""
    with _SUPERVISE:
        be_supervised(channel, supervision.program)


def _open_proc(*, strict: bool) -> tuple[int, bool]:
    """Return a mount of /proc, and whether it has the numbers of this PID namespace.

    Where the kernel refuses a new one, that of the builder's PID namespace is taken, unless *strict* forbids it.
    """
    try:
        return filesystem("proc", (), INERT), True
    except PermissionError:
        if strict:
            raise
        return clone(AT_FDCWD, b"/proc", INERT, recursive=True), False
