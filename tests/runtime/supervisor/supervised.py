"""A function of a test as a supervised process."""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.kernel.passing import socket_pair
from pybuild.runtime.sandbox.inside.notification_filter import notifying, of_supervisor
from pybuild.runtime.supervisor.start import be_supervised, fork_supervisor
from pybuild.runtime.supervisor.values import Supervision

Special = tuple[tuple[int, int, int, int], ...]


def supervision(*, capabilities: int = DEFAULT, special: Special = ()) -> Supervision:
    """How a step without an overlay is supervised."""
    program, calls = notifying(os.uname().machine, keeping=bool(special))
    return Supervision(calls, capabilities, of_supervisor(), program, special, b"")


class Supervised:
    """A supervisor, for one function."""

    def __init__(self, how: Supervision | None = None, *, is_own_proc: bool = True) -> None:
        self.how = how or supervision()
        self.channel, theirs = socket_pair()
        proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.process, self._owners = fork_supervisor(self.how, theirs, proc, -1, is_own_proc=is_own_proc)
        os.close(theirs)
        os.close(proc)

    def run(self, function: Callable[[], Any]) -> Any:
        """Return what *function* returns, or raise what it raises, in a process whose calls are answered."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._be(function, writer)
        os.close(self.channel)
        os.close(writer)
        with open(reader, "rb") as file:
            data = file.read()
        os.waitpid(child, 0)
        if not data:
            raise ChildProcessError("the function never ended")
        value, error = pickle.loads(data)
        if error is not None:
            raise error
        return value

    def _be(self, function: Callable[[], Any], writer: int) -> None:
        value = error = None
        try:
            be_supervised(self.channel, self.how.program)
            value = function()
        except BaseException as raised:
            error = raised
        os.write(writer, pickle.dumps((value, error)))
        sys.stdout.flush()
        os._exit(0)

    def end(self) -> tuple[int, list[bytes]]:
        """Wait for the end of the supervisor; return its exit code and the lines that it left."""
        with open(self._owners, "rb") as file:
            lines = file.read().splitlines()
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), lines


def supervised(function: Callable[[], Any], how: Supervision | None = None) -> Any:
    """Return what *function* returns in a supervised process, whose supervisor ends well."""
    supervisor = Supervised(how)
    try:
        return supervisor.run(function)
    finally:
        assert supervisor.end()[0] == 0


@contextmanager
def meanwhile(change: Callable[[], object]) -> Iterator[None]:
    """Another process calls *change* over and over."""
    child = os.fork()
    if child == 0:
        while True:
            change()
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
