"""The machine: the ports through which a build reaches the store and the host, made once at the edge.

    <root>/oci-layout index.json blobs/     an OCI image layout (`builder.oci.layout`, `builder.oci.blobs`)
    <root>/pybuild.db                       what can be computed again (`builder.database`)
    <root>/snapshots/                       unpacked layers (`runtime.snapshots`)
    <root>/cache-mounts/ locks/ tmp/
    <root>/copying/                         what passes through from one place to another (`builder.transports`)

The root is private to its owner: a layer may hold set-user-id programs.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from builder.cache import BuiltLayer, Cache, Layers
from builder.database import Database
from builder.locks import Locks
from builder.oci.blobs import BlobStore
from builder.oci.digest import Digest
from builder.oci.image import Image
from builder.oci.layout import Layout
from builder.oci.model import chain_ids
from runtime.snapshotter import Snapshotter


def default_root() -> Path:
    """Return the store's folder: $PYBUILD_ROOT, else /var/lib/pybuild for root, else below $XDG_DATA_HOME."""
    chosen = os.environ.get("PYBUILD_ROOT")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/pybuild")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pybuild"


class Machine:
    """Blob store, names, cache and snapshots of one store. Close it when done."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = BlobStore(root)
        self.layout = Layout(root)
        self.database = Database(root / "pybuild.db")
        self.cache = Cache(self.database)
        self.locks = Locks(root / "locks")
        self.auth_file: Path | None = None
        """Where credentials of registries are looked for, in place of the usual files."""
        self.tls_verify = True
        """False permits registries any certificate, and plain http."""

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    @cached_property
    def snapshots(self) -> Snapshotter:
        """The snapshotter that this host can use: overlayfs, else whole copies."""
        from runtime.copying import CopyingSnapshotter
        from runtime.overlay import OverlaySnapshotter, overlay_works

        folder = self.root / "snapshots"
        folder.mkdir(mode=0o700, exist_ok=True)
        wanted = os.environ.get("PYBUILD_SNAPSHOTTER", "")
        if wanted == "copying" or (wanted != "overlay" and not overlay_works(folder)):
            return CopyingSnapshotter(folder.with_name("trees"))
        return OverlaySnapshotter(folder)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep everything in the store from being collected while a build or a reader uses it."""
        with self.locks.shared("gc"):
            yield

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Have the store alone, to remove from it; waits for builds to end."""
        with self.locks.exclusive("gc"):
            yield

    def snapshot(self, image: Image) -> str | None:
        """Return the name of the snapshot of an image, unpacking what is missing; None for one without layers."""
        return self.unpack(image_layers(image))

    def unpack(self, layers: Layers, cancelled: Callable[[], bool] = lambda: False) -> str | None:
        """Return the name of the snapshot of *layers*, unpacking those that nobody has unpacked yet."""
        names = chain_ids(tuple(Digest.parse(layer.diff_id) for layer in layers))
        known = next((i + 1 for i in range(len(names) - 1, -1, -1) if self.snapshots.exists(names[i])), 0)
        for place in range(known, len(names)):
            with self.locks.exclusive(names[place], cancelled):
                if not self.snapshots.exists(names[place]):
                    self._unpack_one(layers[place], names[place - 1] if place else None, names[place])
        return names[-1] if names else None

    def _unpack_one(self, layer: BuiltLayer, parent: str | None, name: str) -> None:
        from builder.oci.unpack import unpack
        from runtime.safepath import Root
        from runtime.snapshotter import DiskFormat

        active = self.snapshots.prepare(parent)
        try:
            overlay = active.format is DiskFormat.OVERLAY
            with (
                self.blobs.open(layer.descriptor) as stream,
                Root(os.open(active.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as folder,
                Root(self.snapshots.open(parent)) as lower,
            ):
                unpack(stream, folder.fd, overlay=overlay, diff_id=Digest.parse(layer.diff_id), lower=lower)
            self.snapshots.commit(active, name)
        except BaseException:
            self.snapshots.discard(active)
            raise


def image_layers(image: Image) -> Layers:
    """Return the layers of an image as records keep them."""
    return tuple(
        BuiltLayer(str(diff_id), str(layer.digest), layer.size, layer.media_type)
        for diff_id, layer in zip(image.config.diff_ids, image.manifest.layers, strict=True)
    )


def open_machine(root: Path | None = None) -> Machine:
    """Open the store at *root*, making it when it is not there.

    Raises:
        RequestError: this Python encodes file names as something else than UTF-8.
    """
    if sys.getfilesystemencoding() != "utf-8":
        from builder.utf8 import need_utf8

        need_utf8()
    folder = root or default_root()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("locks", "tmp", "cache-mounts"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    return Machine(folder)
