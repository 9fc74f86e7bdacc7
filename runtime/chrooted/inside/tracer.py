"""The keeper as the tracer of all processes inside: the kernel kills them when the keeper ends, however it ends.

A process is traced from its fork on, and cannot escape: the filter refuses clone(2) with CLONE_UNTRACED, and a traced
process can have no other tracer. The price is a stop at each fork, exec and signal.
"""

import os
from signal import SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU

from pybuild.runtime.chrooted.inside.calls import refusal
from pybuild.runtime.kernel import ptrace
from pybuild.runtime.kernel.syscalls import SIGCHLD, SIGKILL, wait_signal
from pybuild.runtime.sandbox.inside.plan import END

_STOPPING = (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
_WALL = 0x40000000
"""__WALL of waitpid(2): also for threads, and for children whose end sends another signal than SIGCHLD."""


class Tracer:
    """A child of this process, and all processes and threads that descend from it."""

    __slots__ = ("_first", "_inside")

    def __init__(self, first: int) -> None:
        """Trace *first*, which must wait for that. All signals of this process must be blocked."""
        ptrace.seize(first)
        self._first = first
        self._inside = {first}
        """The numbers of those that have not been reaped, which the kernel gives to no other process."""

    def follow(self) -> int:
        """Pass signals on until the first process has ended, then end all others; return its wait status.

        When this returns or raises, no process is left that came from it.
        """
        ended = None
        try:
            while ended is None:
                number = wait_signal()
                if number == SIGCHLD:
                    ended = self._serve()
                elif number == END:
                    os.kill(self._first, SIGKILL)
                else:
                    os.kill(self._first, number)
            return ended
        finally:
            self._end()

    def _serve(self) -> int | None:
        """Handle all stops and ends; return the wait status of the first process once it has ended.

        One SIGCHLD may stand for several of them.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | _WALL)
            except ChildProcessError:
                return None
            if pid == 0:
                return None
            if not os.WIFSTOPPED(status):
                self._inside.discard(pid)
                if pid == self._first:
                    return status
                continue
            self._inside.add(pid)
            self._go_on(pid, status)

    def _go_on(self, pid: int, status: int) -> None:
        """Let a stopped process continue; one that SIGSTOP or a terminal has stopped stays so until SIGCONT."""
        event, signal = status >> 16, os.WSTOPSIG(status)
        if event == 0:
            ptrace.go_on(pid, signal)
        elif event == ptrace.EVENT_STOP and signal in _STOPPING:
            ptrace.go_on(pid, request=ptrace.PTRACE_LISTEN)
        else:
            try:
                self._take(pid, event)
            except ProcessLookupError:  # it was killed meanwhile
                return
            ptrace.go_on(pid)

    def _take(self, pid: int, event: int) -> None:
        """Note who is new, and answer a call that the filter leaves to the tracer."""
        if event in {ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE}:
            self._inside.add(ptrace.event_message(pid))
        elif event == ptrace.EVENT_EXEC:
            # A thread that execs takes the number of its process, and the other threads end.
            former = ptrace.event_message(pid)
            if former != pid:
                self._inside.discard(former)
        elif event == ptrace.EVENT_SECCOMP:
            errno = refusal(*ptrace.asked(pid), self._inside)
            if errno:
                ptrace.answer(pid, -errno)

    def _end(self) -> None:
        """Kill all that are left, and reap until there is none. One that is forked meanwhile stops before it runs."""
        for pid in self._inside:
            _kill(pid)
        while True:
            try:
                pid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return
            if os.WIFSTOPPED(status):
                _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        return
