"""Stopping long operations: every loop over bytes or files calls `check`, which raises when its thread is to stop.

`stoppable` sets what `check` calls in a thread. A parameter of every function that copies, packs or unpacks was
rejected, because nobody would notice if one call on the way did not pass it on.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_thread = threading.local()
_INTERVAL = 0.1  # seconds between two checks: short enough for a user, and rare enough to cost nothing


@contextmanager
def stoppable(stop: Callable[[], None]) -> Iterator[None]:
    """Have `check` call *stop* in this thread for a block. *stop* raises when the work is to end."""
    outer = getattr(_thread, "stop", None)
    _thread.stop = stop
    try:
        yield
    finally:
        _thread.stop = outer


def current_stop() -> Callable[[], None]:
    """Return what `check` calls in this thread, for a caller of `stoppable` that wants to keep it."""
    stop: Callable[[], None] | None = getattr(_thread, "stop", None)
    return stop or _nothing


def pool(threads: int) -> "ThreadPoolExecutor":
    """Return a pool of at most so many *threads*, in which `check` does the same as in this one."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(threads, initializer=setattr, initargs=(_thread, "stop", current_stop()))


def _nothing() -> None:
    """Do not stop."""


def check() -> None:
    """Call what `stoppable` has set in this thread, if anything, which raises when the work is to end."""
    stop = getattr(_thread, "stop", None)
    if stop is not None:
        stop()


@contextmanager
def ending(end: Callable[[], None]) -> Iterator[None]:
    """Call *end* from another thread when this one is to stop, for a block that waits and cannot call `check`.

    *end* must make the block fail, for example by closing its connection. That failure is replaced by what `check`
    raises.
    """
    stop = current_stop()
    if stop is _nothing:
        yield
        return
    try:
        with _watched(stop, end):
            yield
    except Exception:
        # If *end* has caused this exception, `check` raises the right one.
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
        # Joined, so that *end* is never called after the block.
        watcher.join()


def _watch(stop: Callable[[], None], done: threading.Event, end: Callable[[], None]) -> None:
    while not done.wait(_INTERVAL):
        try:
            stop()
        except BaseException:  # noqa: BLE001 - `check` raises it in the thread of the block
            end()
            return


def pause(seconds: float, event: threading.Event) -> None:
    """Wait for *seconds*, or until *event* is set. Calls `check` meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not event.wait(min(left, _INTERVAL)):
        check()
