"""Turns bound the work that needs much processor time and memory: many steps may run, but only a few pack or unpack.

The bounds are for the whole process, because its memory is bounded as a whole. COPY and ADD, which have parts of their
sources in memory, and RUN have separate turns, so that a command that has ended never waits for large files that
another stage copies.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.plan.ops import Mkdir, Op, Run
from pybuild.runtime.stopping import check

_AT_ONCE = 4
_COPIES = min(_AT_ONCE, max(2, len(os.sched_getaffinity(0))))
"""Layers of COPY and ADD at the same time. Each is compressed by several threads, and needs about 30 MB."""
_WAKE_UP = 0.25
"""Seconds after which a waiting thread looks whether its build was stopped."""


class Turns:
    """A semaphore that bounds the number of threads. A thread that has a turn may ask for it again."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._free = threading.Semaphore(at_once)
        self._mine = threading.local()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn and hold it while the block runs. Raises what `runtime.stopping.check` raises."""
        if getattr(self._mine, "held", False):
            yield
            return
        while not self._free.acquire(timeout=_WAKE_UP):
            check()
        self._mine.held = True
        try:
            yield
        finally:
            self._mine.held = False
            self._free.release()


COPYING = Turns(_COPIES)
"""Turns for the layers of COPY and ADD, which are written from the files of a source."""
PACKING = Turns()
"""Turns for unpacking the rootfs of a command, and for packing its changes."""

PULLING = Turns()
"""Turns for pulling bases. Registries limit connections themselves, so these turns are apart from the others."""


def turns_of(op: Op) -> Turns:
    """Return the turns that bound writing the layer of *op*."""
    return PACKING if isinstance(op, Run | Mkdir) else COPYING
