"""Stopping long work: every loop over bytes or files asks `check`, which raises when its thread is to stop.

Whoever begins the work says with `stoppable` what ends it. A parameter through every copier, packer and unpacker was
rejected: one that is forgotten on the way would be noticed by nobody.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_thread = threading.local()
_GLANCE = 0.1  # seconds; what a user does not notice, and costs nothing beside waiting for a server


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


def pool(threads: int) -> "ThreadPoolExecutor":
    """Return a pool of at most so many *threads*, in which `check` raises when it would in this one."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(threads, initializer=setattr, initargs=(_thread, "stop", asked()))


def _nothing() -> None:
    """Let the work go on."""


def check() -> None:
    """Raise what the caller of `stoppable` wants raised; nothing happens in a thread without one."""
    stop = getattr(_thread, "stop", None)
    if stop is not None:
        stop()


@contextmanager
def ending(end: Callable[[], None]) -> Iterator[None]:
    """Call *end* in another thread when this one is to stop, for a block that waits where it cannot call `check`.

    *end* makes the block fail, for example by closing its connection; then what `check` raises is raised.
    """
    stop = asked()
    if stop is _nothing:
        yield
        return
    try:
        with _watched(stop, end):
            yield
    except Exception:
        # The failure that *end* made is not what is to be reported.
        check()
        raise
    check()


@contextmanager
def _watched(stop: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(stop, done, end), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        # It must not end what is used after the block.
        watcher.join()


def _watch(stop: Callable[[], None], done: threading.Event, end: Callable[[], None]) -> None:
    while not done.wait(_GLANCE):
        try:
            stop()
        except BaseException:  # noqa: BLE001 - it is for the thread of the block, which meets it in `check`
            end()
            return


def pause(seconds: float, event: threading.Event) -> None:
    """Wait for *seconds*, until *event* is set, or until this thread is to stop: then what `check` raises is raised."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not event.wait(min(left, _GLANCE)):
        check()
