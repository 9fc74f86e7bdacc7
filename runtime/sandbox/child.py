"""The parent's side of a sandbox child: starting it, reading its reports, ending it."""

import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from pybuild.runtime.records import memory_file
from pybuild.runtime.sandbox.forkserver_client import fork_child
from pybuild.runtime.sandbox.inside import plan
from pybuild.runtime.sandbox.signal_relay import SignalRelay

Output = Callable[[int, bytes], None]
Fork = Callable[[tuple[int, int, int, int, int]], int]
"""Forks a child that has these descriptors and returns a pidfd of it, as `forkserver_client.fork_child` does."""


class CancelFlag(Protocol):
    """A `threading.Event`, or another object with its method ``is_set``; set when a run is to be cancelled."""

    def is_set(self) -> bool:
        """Return whether everything inside is to be killed."""


READ_SIZE = 1 << 16
# poll(2) cannot wait for an Event, so it is looked at in intervals.
_CANCEL_INTERVAL_MS = 50
# In intervals, five seconds in all. A keeper that does not end in that time hangs in the kernel, and is killed.
_CANCEL_PATIENCE = 100
_MOST_LEFT = 16  # reads that empty a pipe of 1 MiB, the most that a process may set (pipe(7), pipe-max-size)


class Child:
    """A running sandbox child and the pipes to it."""

    def __init__(
        self,
        data: bytes,
        *,
        stdin: int | None = None,
        fork: Fork = fork_child,
        outputs: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Start the child with *fork* on the plan *data*. It reads *stdin*, by default /dev/null.

        Its output comes by two pipes, which `run_to_end` empties. A caller that has made them already passes them as
        *outputs*, (read end, write end) of standard output and standard error; they are closed by the child.
        """
        pipes = [os.pipe(), *(outputs or (os.pipe(), os.pipe()))]
        self._status, *streams = (reader for reader, _ in pipes)
        self._streams = dict(zip(streams, (1, 2), strict=False))
        written = [writer for _, writer in pipes]
        given = [memory_file(data), os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
        try:
            # The child gets copies. Here the write ends are closed, or the end of the pipes would never be read.
            plan_fd, null = given
            status, out, err = written
            self._process = fork((plan_fd, status, null if stdin is None else stdin, out, err))
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for fd in (*given, *written):
                os.close(fd)
        self._poller = select.poll()
        for fd in (self._status, *self._streams):
            self._poller.register(fd, select.POLLIN)

    def run_to_end(
        self, output: Output, cancel: CancelFlag | None = None, signals: SignalRelay | None = None
    ) -> list[plan.Report]:
        """Pass output on until every process inside is gone, close the child, and return what it reported.

        Setting *cancel* kills everything inside. With *signals* the signals of this process reach the program, and
        its `killed` takes the place of *cancel*.
        """
        try:
            if signals is not None:
                signals.connect(self.signal)
                cancel = signals.killed
            return self._pump(output, cancel)
        finally:
            self.close()

    def _pump(self, output: Output, cancel: CancelFlag | None) -> list[plan.Report]:
        reported, patience = b"", _CANCEL_PATIENCE
        while True:
            for fd, _ in self._poller.poll(None if cancel is None else _CANCEL_INTERVAL_MS):
                if fd != self._status:
                    self._serve(fd, output)
                elif data := os.read(fd, READ_SIZE):
                    reported += data
                else:
                    # Keeper, guard and first process had the other end: they have ended, and all inside with them.
                    self._finish(output)
                    return plan.read_reports(reported)
            if cancel is not None and cancel.is_set():
                self._stop(patience)
                patience -= 1

    def _serve(self, fd: int, output: Output) -> None:
        if data := os.read(fd, READ_SIZE):
            output(self._streams[fd], data)
        else:
            self._poller.unregister(fd)

    def _finish(self, output: Output) -> None:
        """Pass on what is left in the pipes.

        The end of a pipe is not waited for: a process inside may have sent its write end to a process of the host.
        """
        self._poller.unregister(self._status)
        for _ in range(_MOST_LEFT):
            for fd, _ in self._poller.poll(0):
                self._serve(fd, output)

    def _stop(self, patience: int) -> None:
        # On END the keeper kills the guard and removes stubs. When the keeper is killed itself, the kernel kills the
        # guard, and with it everything inside.
        if patience == _CANCEL_PATIENCE:
            self.signal(plan.END)
        elif patience == 0:
            self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the program, or with `plan.END` end everything inside. Does nothing when it has ended."""
        # After `close`, a `SignalRelay` may still call this from a handler, until the caller leaves its block.
        if self._process >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)

    def close(self) -> None:
        """Close the pipes; end the child first if it still runs, because of an exception."""
        ended = select.poll()
        ended.register(self._process, select.POLLIN)
        if not ended.poll(0):
            self.signal(plan.END)
            ended.poll()
        process, self._process = self._process, -1
        os.close(process)
        self._close_pipes()

    def _close_pipes(self) -> None:
        for fd in (self._status, *self._streams):
            os.close(fd)


def read_available(fd: int) -> bytes | None:
    """Return what can be read now, None when that is nothing, b"" at the end of the stream."""
    try:
        return os.read(fd, READ_SIZE)
    except BlockingIOError:
        return None
    except OSError:  # EIO: the other end of a terminal is closed
        return b""
