"""Turns for work that needs much CPU and memory: any number of steps may wait, only a few may work.

The limit is for the process, because its memory is limited. Layers of COPY and ADD, which have pieces of their sources
in memory, and those of RUN have separate turns: a command that has ended never waits for large files of other stages.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.plan.ops import Mkdir, Op, Run
from pybuild.runtime.stopping import check

_AT_ONCE = 4
_COPIES = min(_AT_ONCE, max(2, len(os.sched_getaffinity(0))))
"""Turns for layers: each compresses in several threads, and needs about 30 MB."""
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
        # Waking up regularly lets a thread notice that its build was stopped.
        while not self._free.acquire(timeout=_WAKE_UP):
            check()
        self._mine.held = True
        try:
            yield
        finally:
            self._mine.held = False
            self._free.release()


COPYING = Turns(_COPIES)
"""Turns for layers that are written from files of a source."""
PACKING = Turns()
"""Turns for unpacking the rootfs of a command, and for packing its changes."""

PULLING = Turns()
"""Turns for bases from registries, which have limits of their own for each connection."""


def turns_of(op: Op) -> Turns:
    """Return the turns that the layer of *op* is written in."""
    return PACKING if isinstance(op, Run | Mkdir) else COPYING
