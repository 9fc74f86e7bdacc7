"""The keeper as tracer of all that runs inside: the kernel kills it when the keeper ends, however that ends.

What is forked is traced from its first moment and has no way out: the filter refuses clone(2) with CLONE_UNTRACED, and
who is traced cannot be traced by another. The price is a stop at each fork, exec and signal.
"""

import os
from signal import SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU

from pybuild.runtime.chrooted.inside.calls import refusal
from pybuild.runtime.kernel import ptrace
from pybuild.runtime.kernel.syscalls import SIGCHLD, SIGKILL, wait_signal
from pybuild.runtime.sandbox.inside.plan import END

_STOPPING = (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
_WALL = 0x40000000
"""Threads as well."""


class Tracer:
    """All processes and threads that come from one, which is a child of this process."""

    __slots__ = ("_first", "_inside")

    def __init__(self, first: int) -> None:
        """Follow *first*, which must wait meanwhile. All signals of this process must be held back."""
        ptrace.seize(first)
        self._first = first
        self._inside = {first}
        """Those that were not waited for: the kernel gives their numbers to nobody else."""

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
        """Handle all that has happened; return the wait status of the first process once it has ended."""
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
        if event in {ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE}:
            self._inside.add(ptrace.event_message(pid))
        elif event == ptrace.EVENT_EXEC:
            # A thread that execs becomes the first one of its process, and has its number from then on.
            former = ptrace.event_message(pid)
            if former != pid:
                self._inside.discard(former)
        elif event == ptrace.EVENT_SECCOMP:
            errno = refusal(*ptrace.asked(pid), self._inside)
            if errno:
                ptrace.answer(pid, -errno)

    def _end(self) -> None:
        """Kill what is left, and wait until nothing is; what is new by then has stopped before its first step."""
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
