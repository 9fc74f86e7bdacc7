"""Unpacking a base image while it is pulled.

Without it the first RUN on the base would wait for the last byte before anything is unpacked. A layer is unpacked from
the partial file of its download, as far as that has come, and the layers one after another, because each stands on the
one below. Of what is read nothing is verified yet, but a snapshot gets its name only when its content has the diff ID
that the config of the image names.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pybuild.builder.errors import BuildError
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.partial_blobs import Arriving
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.stopping import current_stop, stoppable

Progress = Callable[[str, int, int], None]
"""Takes the progress of a part of a step: (name, bytes done, total bytes)."""


@contextmanager
def unpacked_meanwhile(layers: Layers, store: Store, progress: Progress, cancel: threading.Event) -> Iterator[Progress]:
    """Unpack *layers* in a thread while the block pulls them, and wait for the thread at the end.

    It yields what the block reports the progress of its downloads to. Failures are not reported here: a step that needs
    the tree unpacks what is missing, and reports them then. When nothing is to be pulled, nothing is unpacked.
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
