"""The caller's side of a sandbox's standard input: copies the caller's into a pipe.

Decision: the caller's streams stay outside. Considered: to pass on the caller's own. To open it by name (/dev/stdin),
the user of the process would have to own it; a sandbox must not change the owner of a file or a socket of the
caller, and an owner could put input into the caller's terminal. Taken: pipes, which the user of the process owns, as
images with a symlink from a log to /dev/stdout need. As in Docker, input that was read ahead and not used is lost.
"""

import os
import select
from contextlib import suppress

from pybuild.runtime.sandbox.child import Child, Fork, Output, read_available
from pybuild.runtime.sandbox.forkserver_client import fork_child

_STDIN = 0


class FedChild(Child):
    """A sandbox child whose process reads the standard input of the caller."""

    def __init__(self, data: bytes, *, fork: Fork = fork_child) -> None:
        """Start the child on the plan *data*."""
        reader, self._feed = os.pipe()
        os.set_blocking(self._feed, False)
        try:
            super().__init__(data, stdin=reader, fork=fork)
        except BaseException:
            os.close(self._feed)
            raise
        finally:
            os.close(reader)
        self._open, self._pending = True, b""
        self._watch()

    def _serve(self, fd: int, output: Output) -> None:
        if fd in self._streams:
            super()._serve(fd, output)
        elif not self._open:
            return  # it was ready together with the other one, which has closed the pipe
        elif fd == _STDIN:
            data = read_available(_STDIN)
            if data is not None:  # else another process, which has this stream as well, was faster
                self._pending = data
                self._copy()
        else:
            self._copy()

    def _copy(self) -> None:
        """Write what is pending. Close the pipe at the end of the input, or when no process has it open for reading."""
        if not self._pending:
            self._end()
            return
        try:
            self._pending = self._pending[os.write(self._feed, self._pending) :]
        except BlockingIOError:  # the pipe is full
            pass
        except BrokenPipeError:
            self._end()
            return
        self._watch()

    def _watch(self) -> None:
        """Register what to wait for: input, if all earlier input is written, and always the end of the last reader."""
        # Without an event that is wanted, poll(2) still reports POLLERR when no reader is left.
        self._poller.register(self._feed, select.POLLOUT if self._pending else 0)
        if self._pending:
            self._ignore_input()
        else:
            self._poller.register(_STDIN, select.POLLIN)

    def _ignore_input(self) -> None:
        with suppress(KeyError):
            self._poller.unregister(_STDIN)

    def _end(self) -> None:
        """Close the pipe, and read no more input, which is for the next program that reads it."""
        if self._open:
            self._open = False
            self._ignore_input()
            self._poller.unregister(self._feed)
            os.close(self._feed)

    def _finish(self, output: Output) -> None:
        self._end()
        super()._finish(output)

    def close(self) -> None:
        """End the child and close the pipes."""
        self._end()
        super().close()
