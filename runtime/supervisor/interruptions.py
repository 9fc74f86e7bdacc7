"""Calls that a signal ends before the supervisor has received them: the kernel makes them again after the handler.

A filter's flag (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) keeps signals from a call that was received. Until then, one
ends the call: with EINTR if its handler was set without SA_RESTART, though no program expects that of stat(2), and
getuid(2) cannot even fail. So the supervisor traces the processes that set such a handler, up to their next exec, which
resets it. They stop at each signal. If that has ended a call of the filter, the registers have an error by which the
kernel decides on the way to the handler, and the supervisor writes another one there, which does not depend on it.

Considered: receiving faster (a program in C that does nothing else let 207 of 1100 signals through); SA_RESTART for all
handlers (reads and waits would go on for ever); tracing all processes (no debugger works then). Before, `test -e` in
dash said no 620 of 4500 times beside children that ended; now 0, also beside four busy processes.
"""

import os
import stat
import struct

from pybuild.runtime.kernel import ptrace
from pybuild.runtime.supervisor.caller import AT_FDCWD, Arguments, Caller, signed
from pybuild.runtime.supervisor.files import OwnedFiles
from pybuild.runtime.supervisor.listener import Listener, Notification, threads_of

_ACTION = struct.Struct("=QQ")
"""The beginning of the kernel's struct sigaction: handler and flags."""
_SA_RESTART = 0x10000000
_NO_HANDLERS = frozenset((0, 1))  # SIG_DFL, SIG_IGN
_NEVER_IN_CALLS = frozenset((4, 5, 7, 8, 11, 31, 32))
"""SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV and SIGSYS, which instructions cause, and the one by which C libraries end a
thread. Many programs handle them that must not be traced, since sanitizers trace their process at its end."""
_OPTIONS = sum(1 << event for event in (ptrace.EVENT_FORK, ptrace.EVENT_CLONE, ptrace.EVENT_EXEC))
"""Children have the handlers of their parent, but for those of vfork(2), which only execute another program."""
OPENING = {"open": (None, 0), "creat": (None, 0), "openat": (0, 1), "openat2": (0, 1)}
"""The calls that open files, each with the arguments for directory and path."""
_SIZE_OF_SIGNAL = 128  # struct signalfd_siginfo


class Interruptions:
    """The traced processes of a step. Those that have a tracer of their own are left to it."""

    __slots__ = ("_calls", "_files", "_listener", "_traced", "stops")

    def __init__(self, listener: Listener, files: OwnedFiles, calls: dict[int, str]) -> None:
        """*calls* are the names of the calls that the filter passes on, by number."""
        self._listener, self._files, self._calls = listener, files, calls
        self._traced: set[int] = set()
        self.stops = -1
        """A descriptor that is readable when `serve` has something to do, after `start`."""

    def start(self) -> None:
        """Block all signals, and have `stops` tell of traced processes."""
        self.stops = ptrace.stop_descriptor()

    def note_handler(self, caller: Caller, a: Arguments) -> None:
        """Trace the process of a call of rt_sigaction(2) if it sets such a handler, and let the kernel set it."""
        if caller.call.tid in self._traced or a[0] in _NEVER_IN_CALLS:
            return
        handler, flags = _ACTION.unpack(caller.read(a[1], _ACTION.size))
        if handler not in _NO_HANDLERS and not flags & _SA_RESTART:
            self._trace(caller)

    def _trace(self, caller: Caller) -> None:
        tried: set[int] = set()
        # A thread that is not traced yet may start others meanwhile.
        while new := {caller.call.tid, *threads_of(caller.name)} - tried:
            for thread in new:
                try:
                    # If its number has been reused meanwhile, another process is traced, or none where that is outside.
                    ptrace.seize(thread, _OPTIONS)
                except OSError:  # it has ended, or has another tracer, or the host permits none
                    continue
                self._traced.add(thread)
            tried |= new

    def serve(self) -> None:
        """Let all that have stopped continue."""
        os.read(self.stops, _SIZE_OF_SIGNAL)
        while True:
            try:
                thread, status = os.waitpid(-1, os.WNOHANG | ptrace.WALL)
            except ChildProcessError:
                return
            if thread == 0:
                return
            try:
                self._resume(thread, status)
            except ProcessLookupError:  # it was killed meanwhile
                continue

    def _resume(self, thread: int, status: int) -> None:
        if not os.WIFSTOPPED(status):
            self._traced.discard(thread)
        elif status >> 16 == ptrace.EVENT_EXEC:
            # The handlers are gone. If another than the first thread has called exec, it has the number of that now.
            self._traced -= {thread, ptrace.event_message(thread)}
            ptrace.detach(thread)
        else:
            self._traced.add(thread)
            if not status >> 16:
                self._repeat_call(thread)
            ptrace.go_on(thread, status)

    def _repeat_call(self, thread: int) -> None:
        """Have a call that a signal has ended made again, unless it may have waited in the kernel."""
        found = ptrace.interrupted_call(thread)
        if found is None or (name := self._calls.get(found[0])) is None:
            return
        if not self._may_wait(name, Notification(0, thread, *found)):
            ptrace.repeat_call(thread)

    def _may_wait(self, name: str, call: Notification) -> bool:
        """Return whether a call opens a FIFO or a device, which may take long, so that programs expect EINTR."""
        if name not in OPENING:
            return False
        directory, path = OPENING[name]
        a = call.arguments
        try:
            with _Stopped(self._listener, call) as caller:
                start = AT_FDCWD if directory is None else signed(a[directory])
                place = self._files.place(caller, (start, a[path], 0))
                with self._files.root_of(caller):
                    kind = stat.S_IFMT(os.stat(place).st_mode)
        except OSError:  # there is no file yet
            return False
        return kind in {stat.S_IFIFO, stat.S_IFCHR}


class _Stopped(Caller):
    """A thread that a signal has stopped. Its number is not reused before this process has waited for its end."""

    __slots__ = ()

    def check(self) -> None:
        return
