"""The signals that end the program: the first one is a KeyboardInterrupt, later ones do not disturb its clean-up.

A second KeyboardInterrupt would end the clean-up of the first one wherever it is. Catching it and waiting again does
not help: up to Python 3.12 an interrupted ``Thread.join`` treats the thread as ended, so that the process exits before
the thread has removed its files.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

INTERRUPTED = 130
_REQUESTS_TO_END = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 3  # the docker command also gives up waiting after three interrupts


class Interrupts:
    """Handles SIGINT, SIGTERM and SIGHUP of this process. A context manager, for the main thread only."""

    current: "Interrupts | None" = None
    """The one that is entered."""

    def __init__(self) -> None:
        self.came = False
        """Whether the first signal has come."""
        self.wake: Callable[[], None] | None = None
        """What the first signal calls in place of the KeyboardInterrupt."""
        self._requests = 0
        self._taken: tuple[signal.Signals, ...] = ()

    def __enter__(self) -> Self:
        """Set the handlers."""
        Interrupts.current = self
        signals = (*_REQUESTS_TO_END, signal.SIGHUP)
        # Under nohup, or in the background of a script, the signal is ignored on purpose: leave it so.
        self._taken = tuple(each for each in signals if signal.getsignal(each) is not signal.SIG_IGN)
        for number in self._taken:
            signal.signal(number, self._handle)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let the next signal end the process at once; after an interrupt the exit code stays the same."""
        for number in self._taken:
            # Otherwise the interpreter restores the default at exit, and the signal ends it without an exit code.
            signal.signal(number, signal.SIG_IGN if self.came else signal.SIG_DFL)
        Interrupts.current = None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._requests += number in _REQUESTS_TO_END
        if self._requests >= _PATIENCE:
            os._exit(INTERRUPTED)
        self.interrupt()

    def interrupt(self) -> None:
        """Do what the first signal does; nothing, when it has come."""
        if self.came:
            return
        self.came = True
        if self.wake is None:
            raise KeyboardInterrupt
        self.wake()


@contextmanager
def noticed(wake: Callable[[], None]) -> Iterator[None]:
    """Make the first signal call *wake* while the block runs, and raise it in the block, at its end at the latest.

    For a block that starts threads: an exception just after the start would leave a thread that nobody joins.
    """
    interrupts = Interrupts.current
    if interrupts is None or interrupts.came or threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts.wake = wake
    try:
        yield
    finally:
        interrupts.wake = None
    if interrupts.came:
        raise KeyboardInterrupt
