"""The base images of a build: each is pulled when a vertex needs it, and unpacked once, before the first that reads it.

A base whose files a vertex will read is unpacked while it is pulled. Otherwise the first RUN on the base would wait for
the last byte before anything is unpacked. A layer is unpacked from the partial file of its download, as far as that has
come, and the layers one after another, because each stands on the one below. Of what is read nothing is verified yet,
but a snapshot gets its name only when its content has the diff ID that the config of the image names.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from pybuild.builder.errors import BuildError
from pybuild.builder.execute.concurrency import PACKING, PULLING
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.partial_blobs import Arriving
from pybuild.builder.plan.ops import Base, Copy, Run
from pybuild.builder.reporter import Steps
from pybuild.builder.solve.lookup import Lookup
from pybuild.builder.sources.bases import pull_layers
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.free_space import storing
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.stopping import current_stop, stoppable

Progress = Callable[[str, int, int], None]
"""Takes the progress of a part of a step: (name, bytes done, total bytes)."""


class BaseImages:
    """The base images of the plan of *lookup*. All methods but `expect` are called in several threads."""

    def __init__(self, lookup: Lookup, steps: Steps, cancel: threading.Event) -> None:
        self._vertices, self._store = lookup.plan.vertices, lookup.store
        self._lookup, self._steps, self._cancel = lookup, steps, cancel
        self._turns: dict[int, threading.Lock] = {}
        """A lock for each base image, by its index: held while the image is unpacked."""
        self._unpacked_when_pulled: frozenset[int] = frozenset()

    def expect(self, needed: Iterable[int]) -> None:
        """Have the bases whose files these vertices read unpacked while they are pulled."""
        self._unpacked_when_pulled = frozenset(base for index in needed for base in self._read_by(index))

    def _read_by(self, index: int) -> Iterator[int]:
        """Yield the base images that a vertex will surely unpack: not one that may still be found in the cache."""
        vertex = self._vertices[index]
        if index in self._lookup.keys.by_index and isinstance(vertex.op, Run | Copy):
            for source in vertex.inputs if isinstance(vertex.op, Run) else vertex.inputs[1:]:
                yield self._lookup.base_of(source)

    def pull(self, index: int, op: Base) -> None:
        """Pull the layers of the base image at *index* that the store lacks, as a step."""
        layers, cancel = self._lookup.base(op), self._cancel
        with PULLING.one(), self._steps.running(index), storing(self._store.root), ExitStack() as stack:
            progress = self._steps.status(index)
            if index in self._unpacked_when_pulled:
                progress = stack.enter_context(unpacked_meanwhile(layers, self._store, progress, cancel))
            pull_layers(op, self._store, progress, self._steps.say(index), cancel)
        self._lookup.put(index, layers)

    def unpack(self, index: int, source: int) -> None:
        """Unpack the base image of *source*, an input of *index*, reported as a step of its own.

        Otherwise the first RUN on a base would seem to take the time that unpacking takes.
        """
        base = self._lookup.base_of(source)
        op = self._vertices[base].op
        if not isinstance(op, Base):
            return
        layers = self._lookup.base(op)
        # setdefault is atomic, so all threads that need the base get the same lock.
        with self._turns.setdefault(base, threading.Lock()):
            # A step on the base may have made the tree of the base its own.
            if self._store.trees.count(self._lookup.solved.get(source) or layers) < len(layers):
                with self._steps.aside(f"unpacking {op.reference}", index), storing(self._store.root):
                    self._store.trees.unpack(layers, self._cancel.is_set, PACKING.one)


@contextmanager
def unpacked_meanwhile(layers: Layers, store: Store, progress: Progress, cancel: threading.Event) -> Iterator[Progress]:
    """Unpack *layers* in a thread while the block pulls them, and wait for the thread at the end.

    It yields a callback, to which the block reports the progress of its downloads. Failures are not reported here: a
    step that needs the tree unpacks what is missing, and reports them. When nothing is pulled, nothing is unpacked.
    """
    if all(store.blobs.has(layer.descriptor) for layer in layers):
        yield progress
        return
    arriving = Arriving(store.blobs, progress)
    outer = current_stop()

    def work() -> None:
        with suppress(BuildError, OciError, RuntimeHostError, OSError), stoppable(outer):
            store.trees.unpack(layers, cancel.is_set, opened=arriving.open)

    thread = threading.Thread(target=work, name="unpacking", daemon=True)
    thread.start()
    try:
        yield arriving.report
    finally:
        arriving.end()
        thread.join()
