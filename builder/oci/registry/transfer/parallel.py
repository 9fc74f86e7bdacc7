"""Several transfers at once, in threads that end with the first failure; fewer when a server asks for less."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pybuild.builder.oci.errors import RegistryError
from pybuild.runtime.stopping import check, current_stop, stoppable

PARALLEL = 4
"""Transfers at the same time: enough to fill a connection, few enough not to trouble a registry."""

_GLANCE = 0.05
_GRACE = 1.0


class Lanes:
    """The number of transfers to one server at the same time. Thread-safe."""

    def __init__(self, count: int = PARALLEL) -> None:
        self.count = count
        self._busy = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a free lane and hold it."""
        with self._changed:
            self._changed.wait_for(lambda: self._busy < self.count)
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def narrow(self) -> None:
        """Halve the number of transfers, to one at least."""
        with self._changed:
            self.count = max(1, self.count // 2)


class Stop:
    """The signal for transfers to end: one of them failed, or *outer* was set."""

    def __init__(self, outer: threading.Event | None = None) -> None:
        self.event = threading.Event()
        self._outer = outer

    def check(self) -> None:
        """Raise RegistryError when transfers should end."""
        if self.event.is_set() or (self._outer is not None and self._outer.is_set()):
            self.event.set()
            raise RegistryError("stopped because another transfer failed or was interrupted")


def run_all(jobs: Sequence[Callable[[], None]], stop: Stop) -> None:
    """Run *jobs*, `PARALLEL` at once; the first failure stops the others and is raised.

    An interrupt does not wait for a server: threads that wait for the network are left to end by themselves.
    """
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    failures: list[BaseException] = []
    outer = current_stop()

    def work() -> None:
        try:
            with stoppable(outer):
                while not stop.event.is_set():
                    waiting.get_nowait()()
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the caller
            failures.append(error)
            stop.event.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(PARALLEL, len(jobs)))]
    for thread in threads:
        thread.start()
    try:
        _join(threads, stop)
    except BaseException:
        stop.event.set()
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        raise
    if failures:
        raise failures[0]


def _join(threads: Sequence[threading.Thread], stop: Stop) -> None:
    """Wait for *threads*, and check regularly whether they should end."""
    for thread in threads:
        while thread.is_alive():
            thread.join(_GLANCE)
            check()
            if not stop.event.is_set() and thread.is_alive():
                _pass_on(stop)


def _pass_on(stop: Stop) -> None:
    try:
        stop.check()
    except RegistryError:
        # The threads raise it when they notice; a pause between two attempts ends at once.
        return
