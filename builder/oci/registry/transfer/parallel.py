"""Several transfers at once: in threads that end with the first failure, and fewer after a server asked for less."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pybuild.builder.oci.errors import RegistryError
from pybuild.runtime.stopping import check

PARALLEL = 4
"""How many blobs move at once: enough to fill a line, few enough for a registry not to mind."""

_GLANCE = 0.05
_GRACE = 1.0


class Lanes:
    """How many transfers one server gets at once. May be used by several threads."""

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
        """Use half as many from now on, one at least."""
        with self._changed:
            self.count = max(1, self.count // 2)


class Stop:
    """Tells transfers to end: because one of them failed, or because *outer* says so."""

    def __init__(self, outer: threading.Event | None = None) -> None:
        self.event = threading.Event()
        self._outer = outer

    def check(self) -> None:
        """Raise RegistryError when there is no use in going on."""
        if self.event.is_set() or (self._outer is not None and self._outer.is_set()):
            self.event.set()
            raise RegistryError("given up because something else failed or was interrupted")


def run_all(jobs: Sequence[Callable[[], None]], stop: Stop) -> None:
    """Carry out *jobs*, `PARALLEL` at once; the first failure stops the others and is raised.

    An interrupt does not wait for a server: threads that hang in the network are left behind and end by themselves.
    """
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.event.is_set():
                waiting.get_nowait()()
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must see it
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
    """Wait for *threads*, with an eye on who may want them to end."""
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
        # It is raised again where the threads notice it; a wait between two attempts ends at once.
        return
