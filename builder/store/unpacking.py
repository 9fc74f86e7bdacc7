"""Unpacking layers into snapshots; a module of its own, because a build from the cache unpacks nothing."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from pybuild.builder.errors import Cancelled
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.cache import BuiltLayer
from pybuild.builder.store.free_space import storing
from pybuild.builder.store.layer_times import LayerTimes
from pybuild.builder.store.locks import Locks
from pybuild.runtime.errors import NoSuchSnapshot
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat, Snapshotter, never
from pybuild.runtime.values import positional

_Used = TypeVar("_Used")
_Turn = Callable[[], AbstractContextManager[None]]
Opened = Callable[[Descriptor], BinaryIO]
"""Opens the blob of a layer, whose content need not be verified: the diff ID is."""


class Unpacking:
    """An active snapshot that a layer is unpacked into."""

    def __init__(self, snapshots: Snapshotter, active: Active) -> None:
        self.active = active
        self._snapshots = snapshots

    def unpack_layer(self, stream: BinaryIO, diff_id: Digest | None, nanoseconds: Sequence[int]) -> None:
        """Unpack one layer. Raises like `builder.oci.layers.unpack.unpack`."""
        # Imported here: a COPY opens trees, and unpacks none.
        from pybuild.builder.oci.layers.unpack import unpack

        overlay = self.active.format is DiskFormat.OVERLAY
        directory_fd = os.open(self.active.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # A snapshot that is a whole tree does not need its parent, which may be gone.
        parent = self.active.parent if overlay else None
        with Root(directory_fd) as directory, Root(self._snapshots.open(parent)) as lower:
            unpack(stream, directory.fd, overlay=overlay, diff_id=diff_id, lower=lower, nanoseconds=nanoseconds)


@positional
class Trees:
    """The snapshots of layers, made where they are missing.

    One may become that of another step at any moment until it is opened (`Snapshotter.prepare`). Methods that open one
    unpack it once more then.
    """

    root: Path
    """The directory of the store."""
    snapshots: Snapshotter
    blobs: BlobStore
    times: LayerTimes
    locks: Locks
    tell: Callable[[str], None]
    untold: list[str]
    """A message for the user when the first snapshot is made, if there is one."""

    def unpack(
        self,
        layers: Sequence[BuiltLayer],
        cancelled: Callable[[], bool] = lambda: False,
        turn: _Turn = nullcontext,
        opened: Opened | None = None,
    ) -> str | None:
        """Return the name of the snapshot of *layers*, unpacking each missing layer in a *turn*; None for no layers.

        *opened* opens the blob of a layer; the default is that of the store. Raises Cancelled between two layers.
        """
        names = self._names(layers)
        while (place := self.snapshots.topmost(names)) < len(names):
            if cancelled():
                raise Cancelled("cancelled")
            # The turn is taken before the lock, so that a holder of the lock never waits for a turn (deadlock).
            with turn(), self.locks.exclusive(names[place], cancelled, self._wait), storing(self.root):
                if not self.snapshots.exists(names[place]):
                    # Its parent may have been removed meanwhile.
                    with suppress(NoSuchSnapshot):
                        self._unpack_last(layers[: place + 1], names[: place + 1], opened or self.blobs.open)
        return names[-1] if names else None

    def count(self, layers: Sequence[BuiltLayer]) -> int:
        """Return how many of *layers* need not be unpacked."""
        return self.snapshots.topmost(self._names(layers))

    def using(
        self,
        layers: Sequence[BuiltLayer],
        use: Callable[[str | None], _Used],
        cancelled: Callable[[], bool] = lambda: False,
        turn: _Turn = nullcontext,
    ) -> _Used:
        """Return what *use* returns for the name of the snapshot of *layers*; it is called again when that is gone."""
        while True:
            with suppress(NoSuchSnapshot):
                return use(self.unpack(layers, cancelled, turn))

    def open(self, layers: Sequence[BuiltLayer], cancelled: Callable[[], bool] = lambda: False) -> int:
        """Return a descriptor of the tree of *layers*, which stays as it is until that is closed."""
        return self.using(layers, self.snapshots.open, cancelled)

    def open_topmost(self, layers: Sequence[BuiltLayer]) -> tuple[int, int] | None:
        """Return how many of *layers* are unpacked, and their tree, open; None for none. Unpacks nothing."""
        names = self._names(layers)
        while known := self.snapshots.topmost(names):
            with suppress(NoSuchSnapshot):
                return known, self.snapshots.open(names[known - 1])
        return None

    def prepare(
        self,
        layers: Sequence[BuiltLayer],
        cancelled: Callable[[], bool] = lambda: False,
        turn: _Turn = nullcontext,
        *,
        spare: bool = False,
    ) -> Active:
        """Return a new active snapshot on that of *layers*.

        With *spare* that is gone then, if it can be unpacked again: for one that is to be committed.
        """

        def use(name: str | None) -> Active:
            return self.snapshots.prepare(name, spare=partial(self._are_spare, layers) if spare else never)

        return self.using(layers, use, cancelled, turn)

    @contextmanager
    def unpacking(self, layers: Sequence[BuiltLayer] = ()) -> Iterator[Unpacking]:
        """Prepare a snapshot on that of *layers*, into which another layer is unpacked; it is discarded afterwards."""
        with self._unpacking(self.prepare(layers)) as unpacking:
            yield unpacking

    def _unpack_last(self, layers: Sequence[BuiltLayer], names: Sequence[str], opened: Opened) -> None:
        *below, layer = layers
        active = self.snapshots.prepare(names[-2] if below else None, spare=partial(self._are_spare, below))
        with self._unpacking(active) as unpacking:
            with opened(layer.descriptor) as stream:
                unpacking.unpack_layer(stream, layer.diff_id, self.times.of(str(layer.diff_id)))
            self.snapshots.commit(active, names[-1])
        if not self.snapshots.exists(names[-1]):
            # Another step has taken it, or it cannot be used: then this says why, where `unpack` would try for ever.
            os.close(self.snapshots.open(names[-1]))

    @contextmanager
    def _unpacking(self, active: Active) -> Iterator[Unpacking]:
        try:
            with suppress(IndexError):
                self.tell(self.untold.pop())
            yield Unpacking(self.snapshots, active)
        finally:
            self.snapshots.discard(active)

    def _names(self, layers: Sequence[BuiltLayer]) -> tuple[str, ...]:
        return self.times.names_of(layers)

    def _are_spare(self, layers: Sequence[BuiltLayer]) -> bool:
        """Return whether *layers* can be unpacked again."""
        return all(self.blobs.has(layer.descriptor) for layer in layers)

    def _wait(self) -> None:
        self.tell("waiting for another command that unpacks the same layer")
