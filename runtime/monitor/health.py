"""The health check of a container: a command that runs inside at intervals; its exit codes are judged as by Docker."""

import os
import time
from _collections_abc import Callable

from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.monitor.loop import IN, Loop
from pybuild.runtime.monitor.settings import Health
from pybuild.runtime.monitor.state import timestamp
from pybuild.runtime.sandbox.inside.plan import END, read_reports

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
_MOST_OUTPUT, _MOST_RESULTS = 4096, 5  # bytes of one check, and checks, that `inspect` shows: Docker's limits
_SECOND = 1_000_000_000
_PIECE = 1 << 16


class HealthCheck:
    """The checks of one container, from its start to its end.

    *fork* makes a command enter the container: it takes the descriptors of `exec_processes.fork_into`, and returns the
    number of the process. *changed* is called with the member ``Health`` of the state at first and after each check.
    """

    def __init__(
        self,
        loop: Loop,
        order: Health,
        fork: Callable[[tuple[int, ...]], int],
        changed: Callable[[dict[str, object]], None],
    ) -> None:
        self._loop, self._order, self._fork, self._changed = loop, order, fork, changed
        self._status, self._streak = STARTING, 0
        self._results: list[dict[str, object]] = []
        self._began = self._now()
        self._due = self._began + self._interval()
        self._child = 0
        self._report = self._output = -1
        self._reported = self._printed = b""
        self._timed_out = False
        self._start = 0
        self._publish()

    @staticmethod
    def _now() -> int:
        return time.monotonic_ns()

    def _in_start_period(self) -> bool:
        return self._now() - self._began < self._order.times.start_period

    def _interval(self) -> int:
        soon = self._status == STARTING and self._in_start_period()
        return self._order.times.start_interval if soon else self._order.times.interval

    @property
    def milliseconds(self) -> int:
        """The time until `turn` has something to do."""
        return max(0, (self._due - self._now()) // 1_000_000 + 1)

    def turn(self) -> None:
        """Begin a check that is due, or end one that takes too long."""
        if self._now() < self._due:
            return
        if self._child:
            self._timed_out = True
            # The check is over when `_hear` finds the end of the report. Until then there is nothing to do here.
            self._due = self._now() + 3600 * _SECOND
            os.kill(self._child, END)
            return
        self._begin()

    def _begin(self) -> None:
        self._reported, self._printed, self._timed_out = b"", b"", False
        self._start = time.time_ns()
        try:
            self._fork_check()
        except OSError as error:
            # No more processes or descriptors: the check has failed, and the monitor must not end.
            self._printed = f"the check cannot be started: {kernel_reason(error)}".encode()
            self._judge()
            return
        self._due = self._now() + self._order.times.timeout
        self._loop.watch(self._output, IN, self._print)
        self._loop.watch(self._report, IN, self._hear)

    def _fork_check(self) -> None:
        opened: list[int] = []
        try:
            opened.append(os.memfd_create("check", os.MFD_CLOEXEC))
            os.write(opened[0], self._order.command)
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            for _ in range(2):
                opened += os.pipe2(os.O_CLOEXEC)
            plan, null, report, status, output, out = opened
            self._child = self._fork((plan, status, null, out, out))
            self._report, self._output = report, output
        finally:
            for fd in opened:
                if fd not in {self._report, self._output}:
                    os.close(fd)

    def _print(self, fd: int, _events: int) -> None:
        # Read to the end, however much it is, or the command would wait for room in the pipe.
        data = os.read(fd, _PIECE)
        self._printed = (self._printed + data)[:_MOST_OUTPUT]
        if not data:
            self._loop.forget(fd)

    def _hear(self, fd: int, _events: int) -> None:
        data = os.read(fd, _PIECE)
        if data:
            self._reported += data
            return
        self._close()
        os.waitpid(self._child, 0)
        self._child = 0
        self._judge()

    def _close(self) -> None:
        for fd in (self._report, self._output):
            self._loop.forget(fd)
            os.close(fd)
        self._report = self._output = -1

    def _judge(self) -> None:
        """Record the result of a check that is over, with the code -1 for one without an exit code, as in Docker."""
        reports = read_reports(self._reported)
        failed = [report.message for report in reports if report.kind != "ended"]
        code = -1 if self._timed_out or failed or not reports else int(reports[-1].subject)
        text = self._printed.decode(errors="replace") or "".join(failed)
        if self._timed_out:
            text = f"Health check exceeded timeout ({self._order.times.timeout / _SECOND:g}s)" + (
                f": {text}" if text else ""
            )
        self._count(good=code == 0)
        entry = {"Start": timestamp(self._start), "End": timestamp(time.time_ns()), "ExitCode": code, "Output": text}
        self._results = [*self._results, entry][-_MOST_RESULTS:]
        self._due = self._now() + self._interval()
        self._publish()

    def _count(self, *, good: bool) -> None:
        """Set the status. Failures in the start period do not count until the first success, as in Docker."""
        if good:
            self._status, self._streak = HEALTHY, 0
        elif self._status != STARTING or not self._in_start_period():
            self._streak += 1
            if self._streak >= self._order.retries:
                self._status = UNHEALTHY

    def _publish(self) -> None:
        self._changed({"Status": self._status, "FailingStreak": self._streak, "Log": self._results})

    def end(self) -> dict[str, object]:
        """Stop checking, and return the last result: as in Docker, a container that has ended is unhealthy.

        The command of a check has ended with the container, and is reaped here.
        """
        if self._child:
            self._close()
            os.waitpid(self._child, 0)
            self._child = 0
        return {"Status": "unhealthy", "FailingStreak": self._streak, "Log": self._results}
