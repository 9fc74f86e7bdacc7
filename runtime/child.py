"""The sandbox child as its parent has it: started, listened to, ended."""

import os
import select
import subprocess
import threading
from collections.abc import Callable

from runtime import plan
from runtime.errors import SandboxError
from runtime.interpreter import child_argv, child_environment, interpreter

Output = Callable[[int, bytes], None]

PIECE = 1 << 16
_CANCEL_INTERVAL_MS = 50
_CANCEL_PATIENCE = 100
_LAST_PIECES = 16  # the most that a pipe can hold


class Child:
    """A running sandbox child and the pipes to it."""

    def __init__(self, data: bytes, *, stdin: int | None, output: int | None) -> None:
        """Start the child on the plan *data*; *stdin* and *output* are what `subprocess` takes, None for our own."""
        self._status, child_status = os.pipe()
        plan_fd = os.memfd_create("plan", os.MFD_CLOEXEC)
        try:
            with open(plan_fd, "wb", closefd=False) as file:
                file.write(data)
            # PDEATHSIG is bound to this thread, which waits here until the child is gone.
            self._process = subprocess.Popen(
                child_argv(plan_fd, child_status),
                executable=f"/proc/self/fd/{interpreter()}",
                env=child_environment(),
                cwd="/",
                stdin=stdin,
                stdout=output,
                stderr=output,
                pass_fds=(plan_fd, child_status, interpreter()),
            )
        except OSError as error:
            os.close(self._status)
            raise SandboxError("start", "the sandbox child", error.errno or 0) from error
        finally:
            os.close(plan_fd)
            os.close(child_status)
        streams = ((1, self._process.stdout), (2, self._process.stderr))
        self._streams = {stream.fileno(): number for number, stream in streams if stream}
        self._poller = select.poll()
        for fd in (self._status, *self._streams):
            self._poller.register(fd, select.POLLIN)

    def pump(self, output: Output, cancel: threading.Event | None) -> list[plan.Report]:
        """Pass output on until every process inside is gone; return what the child reported."""
        reported, patience = b"", _CANCEL_PATIENCE
        while True:
            for fd, _ in self._poller.poll(None if cancel is None else _CANCEL_INTERVAL_MS):
                if fd != self._status:
                    self._serve(fd, output)
                elif data := os.read(fd, PIECE):
                    reported += data
                else:
                    self._finish(output)
                    return plan.read_reports(reported)
            if cancel is not None and cancel.is_set():
                self._stop(patience)
                patience -= 1

    def _serve(self, fd: int, output: Output) -> None:
        if data := os.read(fd, PIECE):
            output(self._streams[fd], data)
        else:
            self._poller.unregister(fd)

    def _finish(self, output: Output) -> None:
        """Pass on what is left in the pipes: all writers are gone, unless one handed its end to a host process."""
        self._poller.unregister(self._status)
        for _ in range(_LAST_PIECES):
            for fd, _ in self._poller.poll(0):
                self._serve(fd, output)

    def _stop(self, patience: int) -> None:
        # The keeper kills init and tidies up; one that is stuck in the kernel is killed with everything below it.
        if patience == _CANCEL_PATIENCE:
            self._process.terminate()
        elif patience == 0:
            self._process.kill()

    def close(self) -> None:
        """End the child if an exception came in between, and close the pipes."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        os.close(self._status)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
