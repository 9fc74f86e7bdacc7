"""A `Job` is an op to execute, as plain data; `Work` is a job with the store and the callbacks of this process."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pybuild.builder.content.selections import Selected
from pybuild.builder.content.trees import EmptyTree, IndexTree, SnapshotTree, Tree
from pybuild.builder.execute.concurrency import PACKING, turns_of
from pybuild.builder.execute.handover import Handover
from pybuild.builder.oci.layers.layer import LayerWriter
from pybuild.builder.plan.ops import Op
from pybuild.builder.request.step_settings import HostInputs, StepSettings
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs import roots
from pybuild.runtime.sandbox.isolation import is_direct
from pybuild.runtime.snapshots.snapshotter import Active
from pybuild.runtime.values import frozen

_MOMENT = 2.0
"""The progress of a file is reported when packing it takes more seconds than this."""
_PAUSE = 0.25
"""Seconds between two reports."""


class SlowFiles:
    """Reports the progress of packing large files: each that takes more than two seconds, as a part of the step."""

    def __init__(self, status: Callable[[str, int, int], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._status, self._clock = status, clock
        self._path, self._shown, self._next = "", False, 0.0

    def __call__(self, path: str, done: int, size: int) -> None:
        """Report that *done* of *size* bytes of *path* are packed."""
        now = self._clock()
        if path != self._path:
            self._path, self._next, self._shown = path, now + _MOMENT, False
        if now >= self._next or (self._shown and done == size):
            self._next, self._shown = now + _PAUSE, True
            self._status(f"packing /{path}", done, size)


class FirstTimes:
    """The names of the cache mounts that a build without a cache has used. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()

    def is_first(self, name: str) -> bool:
        """Return True for the first call with *name*, False for later ones."""
        with self._lock:
            known = len(self._names)
            self._names.add(name)
            return len(self._names) > known


@frozen
class Job:
    """One op to execute, as plain data: nothing in it belongs to the process or to the host that planned it.

    Files of the host are in the `Work` of the process that executes it: the selections from the build context, secrets,
    agents, volumes and devices.
    """

    op: Op
    root: Layers = Layers()
    """The rootfs that the op changes."""
    inputs: tuple[Layers | None, ...] = ()
    """Layers of all inputs, None for a directory of the host."""
    settings: StepSettings = StepSettings()
    ignore_cache: bool = False
    """Whether it runs because of ``--no-cache``: then its cache mounts start empty, once in a build."""


@frozen
class Work:
    """A job in this process: what it gets from this host, the selections of its picks in order, and callbacks."""

    job: Job
    host: HostInputs
    store: Store
    selected: tuple[Selected, ...]
    output: Callable[[int, bytes], None]
    status: Callable[[str, int, int], None]
    """Takes the progress of a part of the step: (id, bytes done, total bytes)."""
    cancel: threading.Event
    is_first: Callable[[str], bool]
    """Returns True for the first call with a name in this build: only then is the cache mount of that name emptied."""
    before: Handover | None = None
    """Hands over the tree of the RUN that this one stands on."""
    after: Handover | None = None
    """Hands over the tree of this one."""

    def wait_for_root(self) -> Layers:
        """Return the layers of the rootfs, once those of the RUN before are stored. Raises Cancelled when it failed."""
        return self.job.root if self.before is None else self.before.wait_for_layers()

    def say(self, text: str) -> None:
        """Show a line of the builder itself in the output of the step."""
        self.output(2, f"{text}\n".encode())

    @contextmanager
    def writer(self) -> Iterator[LayerWriter]:
        """Yield a writer for the layer of this step, once the step has its turn (`builder.execute.concurrency`)."""
        compression, latest = self.job.settings.compression, self.job.settings.source_date_epoch
        watch = SlowFiles(self.status)
        writer = LayerWriter(self.store.blobs, compression.algorithm, compression.level, latest=latest, watch=watch)
        with turns_of(self.job.op).one(), writer as layer:
            yield layer

    def prepare(self, layers: Sequence[BuiltLayer], *, spare: bool = False) -> Active:
        """Return a new active snapshot on that of *layers*, as `Trees.prepare` does."""
        return self.store.trees.prepare(layers, self.cancel.is_set, PACKING.one, spare=spare)

    def view(self, layers: Sequence[BuiltLayer]) -> roots.Root:
        """Return the read-only root of *layers*, unpacking missing ones."""
        return self.store.trees.using(layers, self._view, self.cancel.is_set, PACKING.one)

    def _view(self, name: str | None) -> roots.Root:
        if name is None:
            raise ValueError("no layers have no root")
        return self.store.snapshots.view(name)

    def open_root(self) -> int:
        """Return a descriptor of the rootfs as it was before the op, unpacked again if it is gone."""
        # Without a turn: the caller packs a layer, and so has one already.
        return self.store.trees.open(self.wait_for_root(), self.cancel.is_set)

    @contextmanager
    def tree(self) -> Iterator[Tree]:
        """Yield the rootfs for lookups of single paths.

        Nothing is unpacked: above the layers that are unpacked already, the index of each layer is consulted. Without
        root it is consulted for all layers, because snapshots are not readable from here.
        """
        names = self.store.times.names_of(self.job.root)
        known = 0
        with ExitStack() as stack:
            tree: Tree = EmptyTree()
            if is_direct() and (opened := self.store.trees.open_topmost(self.job.root)) is not None:
                known, root = opened
                tree = SnapshotTree(stack.enter_context(Root(root)))
            if known < len(names):
                layers, store = self.job.root[known:], self.store
                tree = IndexTree(layers, names[known:], store.database, store.blobs, tree)
            yield tree

    @contextmanager
    def unpacked(self) -> Iterator[Root]:
        """Yield the rootfs as a directory, and unpack it before if necessary."""
        with Root(self.store.trees.open(self.job.root, self.cancel.is_set)) as root:
            yield root
