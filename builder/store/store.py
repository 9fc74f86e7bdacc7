"""The store of a build: blobs, names, cache, snapshots and locks.

    <root>/oci-layout index.json blobs/     an OCI image layout (`builder.oci.layout`, `builder.oci.blobs`)
    <root>/pybuild.db                       what can be computed again (`builder.store.database`)
    <root>/snapshots/ snapshots-<map>/      unpacked layers (`runtime.snapshots.disk`), apart for each id map
    <root>/times/                           fractions of a second of layers (`builder.store.layer_times`)
    <root>/cache-mounts/ locks/ tmp/
    <root>/reserve/                         space for the commands that free some (`builder.store.free_space`)
    <root>/copying/                         blobs in transit between other places (`builder.transports`)

The directory is private to its owner, because a layer may hold set-user-ID programs.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pybuild.builder.oci.blobs import BlobStore, claim_nothing
from pybuild.builder.oci.layout import Layout
from pybuild.builder.store import leases
from pybuild.builder.store.cache import Cache, ImportedCaches, image_layers
from pybuild.builder.store.database import Database, is_suspect
from pybuild.builder.store.directory import default_root, prepare
from pybuild.builder.store.free_space import give_up_reserve, is_short, make_reserve, storing
from pybuild.builder.store.locks import LASTING, Locks, computed_once
from pybuild.runtime.errors import TreesNeeded
from pybuild.runtime.paths.filelock import sweep_marked

if TYPE_CHECKING:
    # Only for annotations: a build from the cache unpacks nothing.
    from pybuild.builder.oci.image import Image
    from pybuild.builder.store.layer_times import LayerTimes
    from pybuild.builder.store.registries import RegistryAccess
    from pybuild.builder.store.unpacking import Trees
    from pybuild.runtime.snapshots.snapshotter import Snapshotter


class Store:
    """Blob store, names, cache and snapshots of one store.

    `Store.open` opens one. It is closed by `close`, or at the end of a ``with`` block, and then cannot be used again.
    What it consists of is set once, and cannot be replaced. Thread-safe.

        with pybuild.Store.open(Path("/srv/store")) as store:
            pybuild.pull("debian:12", store)
    """

    def __init__(self, root: Path, registries: "RegistryAccess | None" = None) -> None:
        self.root: Final = root
        self.registries: Final = registries
        """How registries are accessed; None is how this host is configured."""
        self.passed_over: Final = set[str]()
        """Mirrors of registries that did not answer this process."""
        self.blobs: Final = BlobStore(root)
        self.layout: Final = Layout(root)
        self.database: Final = Database(root / "pybuild.db")
        self.database.notice = self.tell
        self.cache: Final = Cache(self.database)
        self.locks: Final = Locks(root / "locks")
        self._listener: Callable[[str], None] | None = None
        self._untold: list[str] = []
        self._users = 0
        self._users_lock = threading.Lock()
        self._lease = ExitStack()
        self._claims: Callable[[str], None] = claim_nothing
        self._drawback = ""
        """Why snapshots are whole copies; reported when the first one is made."""
        self._is_made = True

    if not TYPE_CHECKING:
        # Type checkers know what is Final; for them, a class with this method has whatever is assigned to it.
        def __setattr__(self, name: str, value: object) -> None:
            if "_is_made" in self.__dict__ and not name.startswith("_"):
                raise AttributeError(f"{name!r} of a Store cannot be set")
            super().__setattr__(name, value)

    @classmethod
    def open(cls, root: Path | None = None, registries: "RegistryAccess | None" = None) -> Self:
        """Open the store in the directory *root*, which is created if needed.

        None is the default of this user: $PYBUILD_ROOT, else /var/lib/pybuild for root, else a directory below
        $XDG_DATA_HOME. *registries* is how all that use this store access registries, unless given their own.

        Raises:
            RequestError: it is not a store, this Python does not encode file names as UTF-8, or *registries* has
                credentials or certificates, which are for one registry.
            StoreError: it cannot be created, read, or kept private.
        """
        # A Dockerfile is UTF-8: under another encoding of names its text would mean other files (`builder.utf8`).
        if sys.getfilesystemencoding() != "utf-8":
            from pybuild.builder.utf8 import need_utf8

            need_utf8()
        if registries is not None:
            registries.check_common()
        directory = (root or default_root()).absolute()
        writable = prepare(directory)
        store = cls(directory, registries)
        if writable:
            _sweep(store)
            if is_suspect(directory / "pybuild.db"):
                from pybuild.builder.store.damaged_database import replace_unused

                replace_unused(directory / "pybuild.db", store.locks, store.tell)
        return store

    def close(self) -> None:
        """Close the database, for good."""
        self.database.end()

    def __enter__(self) -> Self:
        """Return the store, which the end of the block closes."""
        self.database.refuse_ended()
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the store."""
        self.close()

    def consulting(self, imported: ImportedCaches) -> Self:
        """Return this store with a cache that consults *imported* on a miss; everything else is the same."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, cache=Cache(self.database, imported))
        # Made again when it is needed, since it sends its messages to the store that made it.
        other.__dict__.pop("trees", None)
        return other

    def hear(self, listener: Callable[[str], None]) -> None:
        """Pass messages about the store to *listener*, those of the past as well."""
        self._listener = listener
        for text in self._untold:
            listener(text)
        self._untold.clear()

    def tell(self, text: str) -> None:
        """Pass on a message for the user, such as about a wait or a damaged file."""
        if self._listener is None:
            self._untold.append(text)
        else:
            self._listener(text)

    @computed_once
    def snapshots(self) -> "Snapshotter":
        """The snapshotter that this host can use: overlayfs, else whole copies.

        Raises:
            TreesNeeded: this process is not root, and so cannot have the owners that files of images have.
            StoreError, OSError: the disk of the store is full, or fails otherwise.
        """
        from pybuild.builder.store.notices import tell_isolation
        from pybuild.builder.store.snapshotters import choose
        from pybuild.runtime.sandbox.isolation import is_direct

        if not is_direct():
            raise TreesNeeded
        tell_isolation(self)
        with storing(self.root):
            chosen, self._drawback = choose(self.root, os.environ.get("PYBUILD_SNAPSHOTTER", ""))
        # The lease may have begun before there was a snapshotter to pass it to.
        chosen.begin_use(self._claims)
        return chosen

    @computed_once
    def trees(self) -> "Trees":
        """The snapshots of layers. Raises as `snapshots`."""
        from pybuild.builder.store.unpacking import Trees

        snapshots, reason = self.snapshots, self._drawback
        drawback = f"overlayfs cannot be used in {self.root} ({reason}): every snapshot is a whole tree"
        untold = [drawback] if reason else []
        return Trees(self.root, snapshots, self.blobs, self.times, self.locks, self.tell, untold)

    @computed_once
    def times(self) -> "LayerTimes":
        """The fractions of a second of layers."""
        from pybuild.builder.store.layer_times import LayerTimes

        return LayerTimes(self.root / "times", self.root / "tmp")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep everything in the store from being collected while it is used. Raises StoreError when it is closed."""
        self.database.refuse_ended()
        with self._users_lock:
            # One lease serves all threads of this process, and calls within each other.
            if self._users == 0:
                waiting = partial(self.tell, "waiting for a command that removes from the store")
                self._claim(self._lease.enter_context(leases.using(self.locks, self.root / "locks", waiting)))
            self._users += 1
        try:
            yield
        finally:
            with self._users_lock:
                self._users -= 1
                if self._users == 0:
                    # First, so that no thread writes to the file of a lease that has ended.
                    self._claim(claim_nothing)
                    self._lease.close()

    def _claim(self, claim: Callable[[str], None]) -> None:
        self.blobs.claim = claim
        self._claims = claim
        # Not the attribute: to compute it is to choose a snapshotter, which creates directories and probes overlayfs.
        if "snapshots" in self.__dict__:
            self.snapshots.begin_use(claim)

    @contextmanager
    def collecting(self, cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Exclude other processes that remove data while the block runs. The store can be used; its reserve is freed.

        Only unclaimed data may be removed: see `builder.store.leases.removing`.
        """
        short = is_short(self.root)
        if short:
            # Before the lock, whose file may need a free inode.
            give_up_reserve(self.root)
        with self.locks.exclusive(LASTING, cancelled, lambda: self.tell("waiting for another command in the store")):
            self.database.make_room = lambda: give_up_reserve(self.root)
            if short:
                self.database.save_space()
            self.database.check()
            try:
                yield
            finally:
                make_reserve(self.root)

    def snapshot(self, image: "Image") -> str | None:
        """Return the name of the snapshot of an image, unpacking missing layers; None for one without layers."""
        return self.trees.unpack(image_layers(image))


open_store = Store.open
"""The same as a function, for modules that need no name of the class."""


def _sweep(store: Store) -> None:
    """Remove leftovers of killed users of the store, except interrupted downloads, which can be resumed."""
    # While the disk has room: XFS and btrfs create no name on a full one, and a removal needs this lock.
    store.locks.make_lasting()
    store.blobs.sweep(parts=False)
    store.locks.sweep()
    leases.sweep(store.root / "locks")
    # Not by tempfile, which is slow to import.
    sweep_marked(Path(os.environ.get("TMPDIR") or "/tmp"), "pybuild-")  # noqa: S108 - only marked ones of this user
