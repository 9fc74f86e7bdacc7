"""Stopping long work: every loop over bytes or files asks `check`, which raises when its thread is to stop.

Whoever begins the work says with `stoppable` what ends it. A parameter through every copier, packer and unpacker was
rejected: one that is forgotten on the way would be noticed by nobody.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_thread = threading.local()


@contextmanager
def stoppable(stop: Callable[[], None]) -> Iterator[None]:
    """Let `check` call *stop* in this thread, which raises when the work is not wanted any more."""
    outer = getattr(_thread, "stop", None)
    _thread.stop = stop
    try:
        yield
    finally:
        _thread.stop = outer


def asked() -> Callable[[], None]:
    """Return what `check` calls in this thread, for a block that adds to what ends it."""
    stop: Callable[[], None] | None = getattr(_thread, "stop", None)
    return stop or _nothing


def _nothing() -> None:
    """Let the work go on."""


def check() -> None:
    """Raise what the caller of `stoppable` wants raised; nothing happens in a thread without one."""
    stop = getattr(_thread, "stop", None)
    if stop is not None:
        stop()
