"""Turns at what costs processor and memory: any number of steps may wait at once, few may do this.

The bound is that of the process, because its memory is. Layers of COPY and ADD, which hold pieces of their sources, and
those of RUN have turns of their own: a command that has ended never waits for large files of other stages.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.plan.ops import Mkdir, Op, Run
from pybuild.runtime.stopping import check

_AT_ONCE = 4
_COPIES = min(_AT_ONCE, max(2, len(os.sched_getaffinity(0))))
"""Each compresses in several threads, and holds some 30 MB on the way."""
_WAKE_UP = 0.25


class Turns:
    """So many threads at once; a thread that has a turn may ask again."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._free = threading.Semaphore(at_once)
        self._mine = threading.local()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn and have it. Raises what `runtime.stopping.check` raises."""
        if getattr(self._mine, "held", False):
            yield
            return
        # Waking up now and then lets a thread notice that its build was stopped.
        while not self._free.acquire(timeout=_WAKE_UP):
            check()
        self._mine.held = True
        try:
            yield
        finally:
            self._mine.held = False
            self._free.release()


COPYING = Turns(_COPIES)
"""For layers that are written from files of a source."""
PACKING = Turns()
"""For unpacking what a command runs on, and for what it changed."""

PULLING = Turns()
"""For bases from registries, which have bounds of their own for each connection."""


def turns_of(op: Op) -> Turns:
    """Return the turns that the layer of *op* is written in."""
    return PACKING if isinstance(op, Run | Mkdir) else COPYING
