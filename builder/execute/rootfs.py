"""The tree that the command of a RUN changes, alone or in a chain of them.

To pack what a command changed takes as long as many commands do. So when the command of a RUN has ended, the next one
of its stage begins at once, on the tree whose layer is still packed, compressed and flushed. Nothing is stored earlier
than without that: a layer is packed, and its record written, when the layer below is stored. When that fails, the build
ends, and with it the command above.

The tree below keeps its path as long as a sandbox may open it: until the command above has ended, which also settles
what becomes of it. So there are never more than two steps of a chain at work.

There is no handover with SOURCE_DATE_EPOCH, because packing then changes times in the tree, with ``--jobs``, which
counts steps, and where snapshots are whole trees.
"""

from contextlib import suppress
from typing import Self

from pybuild.builder.errors import Cancelled
from pybuild.builder.execute.job import Work
from pybuild.runtime.values import replace


class OtherTimes(Exception):
    """The store has other fractions of a second for the layer below than the tree on which the command ran."""


class Rootfs:
    """The tree that the command of a RUN changes: a context manager. What is not named by its end is removed."""

    def __init__(self, work: Work) -> None:
        """Prepare the tree on the layers below, or take what the RUN before hands over."""
        self._snapshots, self._before, self._after = work.store.snapshots, work.before, work.after
        handed = None if self._before is None else self._before.take()
        self._below = None if handed is None else handed[0]
        self.tree = work.prepare(work.wait_for_root(), spare=True) if handed is None else handed[1]
        self._is_offered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(Cancelled, OtherTimes):
            self.settle()
        if self._is_own():
            self._snapshots.discard(self.tree)

    def settle(self) -> None:
        """Wait for the layer below, and give the tree below its name. Nothing may use the paths of its layers any more.

        Raises:
            Cancelled: the step before failed.
            OtherTimes: the command must run again.
        """
        below, self._below = self._below, None
        if below is None or self._before is None:
            return
        try:
            self._before.wait_for_layers()
            if not self._before.name:
                raise OtherTimes
            self._snapshots.commit(below, self._before.name)
            self.tree = replace(self.tree, parent=self._before.name)
        finally:
            self._snapshots.discard(below)

    def offer(self) -> None:
        """Let the RUN that follows begin on the tree, which is not changed any more."""
        if self._after is not None and (above := self._snapshots.prepare_on(self.tree)) is not None:
            self._is_offered = True
            self._after.offer(self.tree, above)

    def commit(self, name: str) -> None:
        """Give the tree its name, or leave that to the RUN that has begun on it."""
        if self._after is not None:
            self._after.name = name
        if self._is_own():
            self._snapshots.commit(self.tree, name)

    def _is_own(self) -> bool:
        """Return whether no other step has the tree; after that none can take it."""
        back = self._after.take() if self._is_offered and self._after is not None else None
        if back is not None:
            self._is_offered = False
            self._snapshots.discard(back[1])
        return not self._is_offered
