"""One start of a container: forks the keeper of its sandbox, and learns whether its process runs and how it ended."""

import os
import sys
from _collections_abc import Callable
from _socket import AF_UNIX, CMSG_SPACE, MSG_CMSG_CLOEXEC, SOCK_CLOEXEC, SOCK_SEQPACKET, socket, socketpair

from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.kernel.syscalls import block_signals, reset_signals
from pybuild.runtime.monitor.groups import freeze, kill_all
from pybuild.runtime.monitor.loop import IN, Loop
from pybuild.runtime.monitor.settings import NETWORK, OWNERS, ContainerRun
from pybuild.runtime.monitor.streams import Streams
from pybuild.runtime.sandbox.inside.command_errors import mistake
from pybuild.runtime.sandbox.inside.forkserver import close_all_but
from pybuild.runtime.sandbox.inside.keeper import keep
from pybuild.runtime.sandbox.inside.namespaces import PID, JoinedNamespaces, joined_by
from pybuild.runtime.sandbox.inside.plan import Report, SandboxPlan, read_reports

_LONGEST_REFUSAL = 4096
_PIECE = 1 << 16
_FAILURES = ("failed", "crashed")
NOT_STARTED = 128
"""The code of a container whose sandbox could not be made. As in Docker."""
KILLED = 137


class SandboxNeighbours:
    """What a sandbox has in common with others.

    *joined* are the namespaces that it joins, *groups* its control groups. *killed* are the same, if their processes
    must be killed at its end, because they do not end with a PID namespace.
    """

    __slots__ = ("groups", "joined", "killed")

    def __init__(self, run: ContainerRun, plan: SandboxPlan) -> None:
        self.joined, self.groups = joined_by(run.joins, NETWORK, OWNERS), run.cgroups
        self.killed = run.cgroups if PID in run.joins or PID in plan.settings.namespaces.shared else ()


class Attempt:
    """A sandbox that is being made, or runs.

    *started* is called with a pidfd of the first process when its program has been executed. *ended* is called when no
    process of the sandbox is left, with the exit code and, if the program was never executed, the reason, else "".
    """

    def __init__(
        self,
        loop: Loop,
        plan: int,
        streams: Streams,
        started: Callable[[int], None],
        ended: Callable[[int, str], None],
        *,
        around: SandboxNeighbours,
    ) -> None:
        """Fork the keeper, which reads the encoded plan from the file *plan*."""
        self._loop, self._streams, self._started, self._ended = loop, streams, started, ended
        self._groups, self._killed = around.groups, around.killed
        self.process = -1
        """A pidfd of the first process inside, -1 before there is one and after its end."""
        self.runs = False
        """Whether the program has been executed. It stays true after the end."""
        self._refused: tuple[int, str] | None = None
        self._reported = b""
        self._status, status_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._status, False)
        ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
        monitor = os.getpid()
        try:
            # A fork is safe, since a monitor has no threads.
            self._keeper = os.fork()
        except OSError as error:
            # No more processes. The loop finds the pipes closed, as for a keeper that ends at once.
            self._keeper, self._refused = -1, (NOT_STARTED, f"cannot start the container: {kernel_reason(error)}")
        if self._keeper == 0:
            _be_keeper(monitor, (plan, status_end, theirs.fileno()), around.joined, streams.given)
        os.close(status_end)
        theirs.close()
        streams.give()
        self._exec_channel: socket | None = ours
        loop.watch(ours.fileno(), IN, self._hear)
        loop.watch(self._status, IN, self._report)

    def _hear(self, fd: int, _events: int) -> None:
        """Take one message: a pidfd of the process, the reason why the program cannot be executed, or the end."""
        exec_channel = self._exec_channel
        if exec_channel is None:
            return
        text, extra, _, _ = exec_channel.recvmsg(_LONGEST_REFUSAL, CMSG_SPACE(4), MSG_CMSG_CLOEXEC)
        if extra:
            self.process = int.from_bytes(extra[0][2][:4], sys.byteorder)
        elif text:
            code, _, reason = text.partition(b" ")
            self._refused = int(code), reason.decode(errors="replace")
        else:
            self._loop.forget(fd)
            exec_channel.close()
            self._exec_channel = None
            # Both an exec and a keeper or guard that fails close the channel. The latter reports before it ends.
            self._gather()
            failed = any(report.kind in _FAILURES for report in read_reports(self._reported))
            if self.process >= 0 and self._refused is None and not failed:
                self.runs = True
                self._started(self.process)

    def _gather(self) -> bool:
        """Read what the status pipe has; return whether that was its end."""
        try:
            data = os.read(self._status, _PIECE)
        except BlockingIOError:
            return False
        self._reported += data
        return not data

    def _report(self, fd: int, _events: int) -> None:
        """Read the status pipe. At its end the keeper and the guard, and so everything inside, have ended."""
        if not self._gather():
            return
        if self._keeper > 0:
            # It belongs to the control groups. If it was frozen at this point, it would never end.
            freeze(self._groups, frozen=False)
            os.waitpid(self._keeper, 0)
        kill_all(self._killed)
        while self._exec_channel is not None:  # messages that the loop has not delivered yet
            self._hear(self._exec_channel.fileno(), IN)
        self._loop.close(fd)  # only now: the last of those messages is the end, at which the pipe is read again
        self._streams.close()
        code, error = self._outcome(read_reports(self._reported))
        if self.process >= 0:
            os.close(self.process)
            self.process = -1
        self._ended(code, error)

    def _outcome(self, reports: list[Report]) -> tuple[int, str]:
        """Return what *ended* is called with. A process that signal N killed has the code 128 + N, as in a shell."""
        if self._refused is not None:
            return self._refused
        for report in reports:
            if report.kind in _FAILURES:
                blame = mistake(report.subject, report.path, report.errno, report.message)
                return NOT_STARTED, blame or report.message
        ended = [int(report.subject) for report in reports if report.kind == "ended"]
        # Without a report, the guard was killed before it could write one, by the kernel or by somebody outside.
        code = ended[0] if ended else 128 - KILLED  # -9: by SIGKILL
        return (code if code >= 0 else 128 - code), ""


def _be_keeper(monitor: int, own: tuple[int, int, int], joined: JoinedNamespaces, streams: tuple[int, ...]) -> None:
    """Run as the keeper, in a fork of the process *monitor*. Never returns.

    The descriptors *own* are the plan, the status pipe and the exec channel.
    """
    try:
        plan, status, exec_channel = own
        for stream, fd in enumerate(streams):
            os.dup2(fd, stream)
        close_all_but(plan, status, exec_channel, *joined.descriptors())
        # The handling of a new program, and all signals blocked: `keep` expects what a child of the fork server has.
        reset_signals()
        block_signals()
        keep(plan, status, monitor, exec_channel, joined)
    finally:
        os._exit(1)
