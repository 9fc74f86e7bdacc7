"""The guard's side of a supervisor: started before there is a step, and never outlived by one.

Imported by the fork server when it starts, in the one case in which there are supervisors.
"""

import os
from collections.abc import Callable
from errno import EPIPE

from pybuild.runtime.kernel.passing import socket_pair
from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_RDONLY, SIGCHLD, capset, close_range, wait_signal
from pybuild.runtime.ownership.record import FileOwner, write
from pybuild.runtime.sandbox.inside.plan import Status
from pybuild.runtime.sandbox.inside.scratch import INERT, clone, filesystem
from pybuild.runtime.supervisor.start import be_supervised, fork_supervisor
from pybuild.runtime.supervisor.values import Supervision
from pybuild.runtime.wire import Operation

_SUPERVISE = Operation("supervise the process")
_CAP_KILL = 1 << 5
PassOn = Callable[[int, int], None]
"""Takes a process and a signal for it."""


class Supervised:
    """The supervisor of one sandbox, as its guard has it."""

    __slots__ = ("_ended", "_owners", "_supervisor", "channel")

    def __init__(self, supervision: Supervision) -> None:
        """Start it; *channel* is by what the first process inside gets to it."""
        with _SUPERVISE:
            # Of this PID namespace, the outer one: attached nowhere, so it is the supervisor's alone.
            proc = filesystem("proc", (), INERT)
            # Before the root of this process is another one, whenever the supervisor gets its turn. A mount of its own
            # has nothing above it.
            upper = clone(AT_FDCWD, supervision.upper, INERT | MOUNT_ATTR_RDONLY) if supervision.upper else -1
        self.channel, theirs = socket_pair()
        self._supervisor, self._owners = fork_supervisor(supervision, theirs, proc, upper)
        self._ended: int | None = None
        for fd in (theirs, proc, upper):
            if fd >= 0:
                os.close(fd)

    def finish(self, process: int, status: Status, pass_on: PassOn) -> None:
        """Give up everything, and tell *status* how *process* and the supervisor ended."""
        self._keep(status)
        capset(_CAP_KILL, _CAP_KILL, 0)
        ended = self._look_after(process, pass_on)
        with open(self._owners, "rb") as file:
            for line in file.read().splitlines():
                status.owner(line)
        status.ended(ended)

    def _keep(self, status: Status) -> None:
        """Close everything but the pipe of *status* and that of the supervisor."""
        first = max(status.fd, self._owners) + 1
        for place, fd in enumerate((status.fd, self._owners)):
            os.dup2(fd, first + place, inheritable=False)
        close_range(3, first - 1)
        for place in (0, 1):
            os.dup2(first + place, 3 + place, inheritable=False)
        close_range(5)
        status.fd, self._owners = 3, 4

    def _look_after(self, process: int, pass_on: PassOn) -> int:
        """Reap every child and pass signals on until *process* and the supervisor have ended; return its wait status.

        Raises:
            SandboxError: the supervisor ended first, or failed. What the process was told since then is wrong.
        """
        ended: int | None = None
        while ended is None or self._ended is None:
            number = wait_signal()
            if number != SIGCHLD:
                pass_on(process, number)
                continue
            for pid, status in _children():
                if pid == process:
                    ended = status
                elif pid == self._supervisor:
                    self._ended = status
            # One that has nobody left to ask ends well, a moment before the last process is reaped.
            if self._ended:
                raise _SUPERVISE.failed(EPIPE, "the process that answers its system calls has ended")
        return ended


def give(fd: int, uid: int, gid: int) -> None:
    """Record who an open file belongs to."""
    write(fd, FileOwner(uid, gid))


def submit(channel: int, supervision: Supervision) -> None:
    """Have the supervisor behind *channel* answer calls of this process, for good."""
    with _SUPERVISE:
        be_supervised(channel, supervision.program)


def _children() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))
