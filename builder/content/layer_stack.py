"""Which layers of a tree may have something at a path: a step asks this for every directory that it goes through.

Each step of a stage has the layers of the one before it and one more. So one *stack* serves all of them: it grows by
the layers that the steps add, and knows their paths and what was found. Asking the database about all layers of a tree
for each path would make a step of a long Dockerfile as much slower as there are steps below it.
"""

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pybuild.builder.store.database import Database

_MOST_OF_LAYER, _MOST = 256, 100_000
"""Paths that are kept of one layer, and of all: the database is asked about layers with more."""
_MOST_FOUND = 20_000
_READ_AT_ONCE = 8
"""Layers of the tree below that each step reads: then the last steps of a long Dockerfile ask about few of them."""


class LayerStack:
    """Layers on top of each other, counted from the bottom. Several threads may look into it while one adds."""

    def __init__(self, names: Sequence[str], numbers: Sequence[int]) -> None:
        """*names* are those of the trees, *numbers* those of the layers in the database. Their paths are not known."""
        self._names, self._numbers = list(names), list(numbers)
        self._unread = list(range(len(names)))
        """Layers whose paths are not known yet. No list is changed in place where that would hide one from a reader."""
        self._large: list[int] = []
        """Layers whose paths are not kept."""
        self._having: dict[bytes, list[int]] = {}
        self._hiding: dict[bytes, list[int]] = {}
        self._found: dict[str, list[tuple[int, Any]]] = {}
        self._kept = self._noted = 0
        self._lock = threading.Lock()

    def grow(self, names: Sequence[str], number: Callable[[], int], database: Database) -> bool:
        """Add the topmost layer of the tree *names*; return False if this stack does not end right below it."""
        with self._lock:
            count = len(self._names)
            if len(names) != count + 1 or self._names[-1] != names[-2] or self._names[0] != names[0]:
                return False
            self._numbers.append(number())
            self._names.append(names[-1])
            first = max(0, len(self._unread) - _READ_AT_ONCE)
            for place in (*self._unread[first:], count):
                self._note(place, self._paths(self._numbers[place], database))
            self._unread = self._unread[:first]
            return True

    def lowest(self, count: int) -> "LayerStack":
        """Return a stack of the lowest *count* layers, for another stage that continues from there."""
        with self._lock:
            stack = LayerStack(self._names[:count], self._numbers[:count])
            stack._unread = self._unread[: bisect_left(self._unread, count)]
            stack._large = self._large[: bisect_left(self._large, count)]
            stack._having = _all_below(self._having, count)
            stack._hiding = _all_below(self._hiding, count)
            stack._found = _all_below(self._found, (count,))
            stack._kept, stack._noted = self._kept, self._noted
            return stack

    def found(self, path: str, end: int) -> tuple[int, Any]:
        """Return the highest layer below *end* up to which it is known what is at *path*, and what that is.

        The layer is -1 when nothing is known.
        """
        known = self._found.get(path, ())
        at = bisect_left(known, (end,))
        return known[at - 1] if at else (-1, None)

    def note(self, path: str, layer: int, found: object) -> None:
        """Note what was found at *path* in the tree up to *layer*, which has no such note."""
        with self._lock:
            if self._noted >= _MOST_FOUND:
                self._found, self._noted = {}, 0
            self._noted += 1
            # Not in place: another thread may read it.
            known = self._found.get(path, [])
            at = bisect_left(known, (layer,))
            self._found[path] = [*known[:at], (layer, found), *known[at:]]

    def _paths(self, number: int, database: Database) -> list[tuple[bytes, str]] | None:
        query = f"SELECT path, kind FROM layer_paths WHERE layer = ? LIMIT {_MOST_OF_LAYER + 1}"  # noqa: S608
        rows = database.all(query, (number,)) if self._kept < _MOST else []
        return rows if 0 < len(rows) <= _MOST_OF_LAYER else None

    def _note(self, place: int, paths: list[tuple[bytes, str]] | None) -> None:
        if paths is None:
            insort(self._large, place)
            return
        self._kept += len(paths)
        for path, kind in paths:
            insort(self._having.setdefault(path, []), place)
            if kind not in {"directory", "implied"}:
                insort(self._hiding.setdefault(path, []), place)

    def layers(self, path: bytes, others: Iterable[bytes], first: int, end: int) -> list[int]:
        """Return the numbers of the layers from *first* on and below *end*, topmost first, that may matter for *path*.

        Those are the layers that have *path*, or anything but a directory at one of *others*.
        """
        # First those that are not known, for what is read meanwhile is in the others before it is no longer there.
        found = set(_between(self._unread, first, end))
        found.update(_between(self._large, first, end))
        found.update(_between(self._having.get(path, ()), first, end))
        for other in others:
            found.update(_between(self._hiding.get(other, ()), first, end))
        return [self._numbers[place] for place in sorted(found, reverse=True)]


def _between(places: Sequence[int], first: int, end: int) -> Iterator[int]:
    """Yield those of *places*, which are in order, from *first* on and below *end*."""
    for at in range(bisect_left(places, first), len(places)):
        if places[at] >= end:
            return
        yield places[at]


def _all_below(of_paths: dict[Any, list[Any]], end: Any) -> dict[Any, list[Any]]:
    return {path: kept for path, places in of_paths.items() if (kept := places[: bisect_left(places, end)])}


def stack_of(names: Sequence[str], number: Callable[[int], int], database: Database) -> LayerStack:
    """Return a stack with the layers of the tree *names*: the one that is kept for the tree below, or a new one.

    *number* returns that of the layer at a place.
    """
    known = database.found()
    stack: LayerStack | None = known.get((LayerStack, names[0], names[-1]))
    if stack is None and len(names) > 1:
        stack = known.get((LayerStack, names[0], names[-2]))
        if stack is not None and not stack.grow(names, lambda: number(len(names) - 1), database):
            # Another stage has added its own layers to that stack.
            stack = stack.lowest(len(names) - 1)
            stack.grow(names, lambda: number(len(names) - 1), database)
    if stack is None:
        stack = LayerStack(names, [number(index) for index in range(len(names))])
    known[LayerStack, names[0], names[-1]] = stack
    return stack
