"""Waits for descriptors and calls whoever wants to know."""

import os
import select
from collections.abc import Callable

Handler = Callable[[int, int], None]
"""Takes a descriptor and the events that are there: POLLIN, POLLOUT, POLLHUP."""
IN, OUT = select.POLLIN, select.POLLOUT


class Loop:
    """The descriptors that are waited for, each with what it is waited for and who is called."""

    __slots__ = ("_handlers", "_poller", "_wanted")

    def __init__(self) -> None:
        self._poller = select.poll()
        self._handlers: dict[int, Handler] = {}
        self._wanted: dict[int, int] = {}

    def watch(self, fd: int, wanted: int, handler: Handler) -> None:
        """Call *handler* when *fd* is *wanted*; 0 is for its end alone."""
        if self._wanted.get(fd) != wanted:
            self._poller.register(fd, wanted)
        self._handlers[fd], self._wanted[fd] = handler, wanted

    def forget(self, fd: int) -> None:
        """Wait for *fd* no more. One that is not waited for is no error."""
        if self._handlers.pop(fd, None):
            del self._wanted[fd]
            self._poller.unregister(fd)

    def close(self, fd: int) -> None:
        """Forget and close *fd*."""
        self.forget(fd)
        os.close(fd)

    def turn(self, timeout: int | None) -> None:
        """Wait once, for *timeout* milliseconds at most, and call whoever is concerned."""
        for fd, events in self._poller.poll(timeout):
            handler = self._handlers.get(fd)
            if handler is not None:  # an earlier one of this turn may have closed it
                handler(fd, events)
