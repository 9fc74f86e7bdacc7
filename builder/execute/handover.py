"""The handover of a tree from a RUN to the RUN that follows, which begins while the layer of the first is packed."""

import threading
from collections.abc import Callable

from pybuild.builder.errors import Cancelled
from pybuild.builder.store.cache import Layers
from pybuild.runtime.snapshots.snapshotter import Active

_MOMENT = 0.05
"""Seconds. The second step may be found in the cache, or wait for another build that executes it."""


class Handover:
    """The tree of a RUN, for the one that follows. Thread-safe.

    Whoever takes it owns it: the second step, or the first one, when the second has not begun before the layer is
    packed.
    """

    def __init__(self, begin: Callable[[], None], cancel: threading.Event) -> None:
        """*begin* lets the second step begin. *cancel* is set when a step has failed."""
        self._begin, self._cancel = begin, cancel
        self._lock = threading.Lock()
        self._offered: tuple[Active, Active] | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self._layers: Layers | None = None
        self.name = ""
        """The name of the snapshot that the tree is, "" if it is not to be kept; set when `wait_for_layers` returns."""

    def offer(self, tree: Active, above: Active) -> None:
        """Offer *tree*, which is not changed any more, and *above*, which is prepared on it.

        Wait a moment until the sandbox of the second step is started. Both need the interpreter until then, and to take
        turns costs more than is gained (50 RUN: 2,800 context switches instead of 900).
        """
        self._offered = tree, above
        self._begin()
        self._started.wait(_MOMENT)

    def note_start(self) -> None:
        """Note that the sandbox of the second step is started."""
        self._started.set()

    def take(self) -> tuple[Active, Active] | None:
        """Return what was offered, unless it was taken before; None as well when nothing was offered."""
        with self._lock:
            offered, self._offered = self._offered, None
        return offered

    def end(self, layers: Layers | None) -> None:
        """Pass on the stored layers of the first step, None when it failed."""
        self._layers = layers
        self._ended.set()

    def wait_for_layers(self) -> Layers:
        """Return the layers of the first step, once they are stored. Raises Cancelled when it failed."""
        self._ended.wait()
        if self._layers is None:
            # Its failure is reported first, and so is that of the build.
            self._cancel.wait()
            raise Cancelled("the step before failed")
        return self._layers
