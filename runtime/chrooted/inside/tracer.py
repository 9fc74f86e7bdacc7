"""The keeper as the tracer of all processes inside: the kernel kills them when the keeper ends, however it ends.

A process is traced from its fork on, and cannot escape: the filter refuses clone(2) with CLONE_UNTRACED, and a traced
process can have no other tracer. The price is a stop at each fork, exec and signal: 8,000 of them in 2 to 3 s of
forking made no difference larger than the noise.

Considered: PDEATHSIG (of the first process only); a subreaper that looks for orphans (it can be killed itself);
cgroup.kill (no container has a writable cgroup).
"""

import os
from errno import ENOSYS

from pybuild.runtime.chrooted.inside.process_calls import GO_ON, NamedProcesses, decision, has_ended
from pybuild.runtime.kernel import ptrace
from pybuild.runtime.kernel.syscalls import SIGCHLD, SIGKILL, wait_signal
from pybuild.runtime.sandbox.inside.plan import END


class Tracer:
    """A child of this process, and all processes and threads that descend from it."""

    __slots__ = ("_first", "_inside", "_traced")

    def __init__(self, first: int, traced: tuple[tuple[int, int, int, int], ...]) -> None:
        """Trace *first*, which must wait for that, and decide its *traced* calls, which are those of `ChrootPlan`.

        All signals of this process must be blocked.
        """
        ptrace.seize(first)
        self._first = first
        self._traced = {(arch, number): (kind, index) for arch, number, kind, index in traced}
        self._inside = {first}
        """The numbers of those that have not been reaped. Numbers of threads that exec may be those of others."""

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
                else:
                    self._pass_on(number)
            return ended
        finally:
            self._end()

    def _pass_on(self, signal: int) -> None:
        os.kill(self._first, SIGKILL if signal == END else signal)

    def _serve(self) -> int | None:
        """Handle all stops and ends; return the wait status of the first process once it has ended.

        One SIGCHLD may stand for several of them.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | ptrace.WALL)
            except ChildProcessError:
                return None
            if pid == 0:
                return None
            # Continuing a process may itself wait for it, and return the next status.
            following: int | None = status
            while following is not None and os.WIFSTOPPED(following):
                self._inside.add(pid)
                following = self._resume(pid, following)
            if following is not None:
                self._inside.discard(pid)
                if pid == self._first:
                    return following

    def _resume(self, pid: int, status: int) -> int | None:
        """Let a stopped process continue; return its next wait status if it has been waited for already."""
        try:
            if self._take(pid, status >> 16):
                return self._carry_out(pid)
        except ProcessLookupError:  # it was killed meanwhile
            return None
        ptrace.go_on(pid, status)
        return None

    def _carry_out(self, pid: int) -> int | None:
        """Let the kernel carry out the call at which *pid* has stopped; return its wait status after that, if any.

        Nobody is reaped meanwhile, since the number in the call could then pass to a process outside: however long it
        takes until the caller has a processor.
        """
        ptrace.resume(pid, request=ptrace.PTRACE_SYSCALL)
        while True:
            found, status = os.waitpid(pid, os.WNOHANG | ptrace.WALL)
            if found:
                return status
            # The first thread of a process is not to be waited for before the others, which this does not reap.
            if has_ended(pid):
                return None
            if (number := wait_signal()) != SIGCHLD:
                self._pass_on(number)

    def _take(self, pid: int, event: int) -> bool:
        """Note who is new, and decide a call that the filter leaves to the tracer: return whether it is carried out."""
        if event in {ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE}:
            self._inside.add(ptrace.event_message(pid))
        elif event == ptrace.EVENT_EXEC:
            # A thread that execs takes the number of its process, and the other threads end.
            former = ptrace.event_message(pid)
            if former != pid:
                self._inside.discard(former)
        elif event == ptrace.EVENT_SECCOMP:
            decided = self._decided(pid)
            if decided == GO_ON:
                return True
            ptrace.answer(pid, -decided)
        return False

    def _decided(self, pid: int) -> int:
        """Return the decision about the call at which *pid* has stopped.

        By its number, which only the kernel sets. The data of SECCOMP_RET_TRACE is that of the newest filter, which may
        be one of the step's own.
        """
        arch, number, arguments = ptrace.filtered_call(pid)
        if (arch, number) not in self._traced:
            return ENOSYS  # what a filter that asks for a tracer gets where there is none (seccomp(2))
        return decision(*self._traced[arch, number], arguments, NamedProcesses(self._inside, pid))

    def _end(self) -> None:
        """Kill all that are left, and reap until there is none. One that is forked meanwhile stops before it runs."""
        for pid in self._inside:
            _kill(pid)
        while True:
            try:
                pid, status = os.waitpid(-1, ptrace.WALL)
            except ChildProcessError:
                return
            if os.WIFSTOPPED(status):
                _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        return
