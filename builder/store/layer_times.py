"""Fractions of a second of the files of layers: the tar of a layer has only whole seconds.

Programs such as make compare times of files that were written within one second. A step must see the same times in a
snapshot that was made from its source and in one that was unpacked again from its blob. So a store keeps the
nanoseconds of each layer that it made, one number for each entry, in a file ``times/<diff ID>``.

There is one set for each layer, the first one: another build that makes the same layer from files with other fractions
gets those, as it would from the cache, whose keys have no times. The set is removed with its layer. It is not exported:
layers that were pulled, loaded or imported have whole seconds, as in BuildKit.
"""

import hashlib
import os
import re
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybuild.builder.store.cache import BuiltLayer

_NAME = re.compile(r"[a-z0-9]+:[0-9a-f]+\Z")
# Four bytes: the nanoseconds of a second fit, and so does `builder.oci.tar.entry.AS_BELOW`.
_TYPE = "I"


@lru_cache(maxsize=1 << 14)
def _name(below: str, diff_id: str, own: str) -> str:
    """Return the name of the tree of a layer on that called *below*; *own* distinguishes two sets of one layer."""
    parts = [part for part in (below, diff_id, own) if part]
    return diff_id if len(parts) == 1 else f"sha256:{hashlib.sha256(' '.join(parts).encode()).hexdigest()}"


class LayerTimes:
    """The sets in the directory *directory*; *scratch* is a temporary directory on the same file system."""

    def __init__(self, directory: Path, scratch: Path) -> None:
        self._directory, self._scratch = directory, scratch
        self._digests: dict[str, str] = {}
        self._latest: tuple[tuple[object, ...], tuple[str, ...]] = (), ()
        """Diff IDs, and the names of their trees: the next step of a stage asks for the same, and one more."""
        self._latest_layers: tuple[tuple[BuiltLayer, ...], tuple[str, ...]] = (), ()

    def put(self, diff_id: str, nanoseconds: Sequence[int]) -> bool:
        """Keep the set of a layer, unless it has one already; return whether its set is the same."""
        new = array(_TYPE, nanoseconds if any(nanoseconds) else ())
        if new and not self._path(diff_id).exists():
            self._link(self._path(diff_id), new.tobytes())
            if self._digests.pop(diff_id, None) is not None:
                # Names that were given while the layer had no set.
                self._latest = self._latest_layers = (), ()
        return self.of(diff_id) == new

    def _link(self, path: Path, data: bytes) -> None:
        """Write *path* atomically; a builder that was faster wins."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        new = self._scratch / f"times-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            new.write_bytes(data)
            with suppress(FileExistsError):
                # A rename would replace the set of a faster builder, after which that one has named trees.
                os.link(new, path)
        finally:
            new.unlink(missing_ok=True)

    def of(self, diff_id: str) -> "array[int]":
        """Return the nanoseconds of each entry of a layer; empty for one with whole seconds."""
        found = array(_TYPE)
        with suppress(FileNotFoundError):
            # The file is not flushed when it is written, so a loss of power may have left any part of it.
            data = self._path(diff_id).read_bytes()
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
        return found

    def names_of(self, layers: "Sequence[BuiltLayer]") -> tuple[str, ...]:
        """Return `snapshot_names` of *layers*, which are most often those of the last call, or these and one more."""
        known, names = self._latest_layers
        # A step asks several times for its layers: comparing them one by one takes longer than anything else here.
        if layers is not known:
            names = names if layers[: len(known)] == known else ()
            names = self._named(names, (layer.diff_id for layer in layers[len(names) :]))
            self._latest_layers = layers if isinstance(layers, tuple) else tuple(layers), names
        return names

    def snapshot_names(self, diff_ids: Iterable[object]) -> tuple[str, ...]:
        """Return the name of the tree after each layer: the chain ID, if all layers so far have whole seconds."""
        asked = tuple(diff_ids)
        known, found = self._latest
        if asked == known:
            return found
        below = found if asked[: len(known)] == known else ()
        names = self._named(below, asked[len(below) :])
        self._latest = asked, names
        return names

    def _named(self, below: tuple[str, ...], diff_ids: Iterable[object]) -> tuple[str, ...]:
        """Return the names *below*, and those of the trees of the layers on top of these."""
        names = list(below)
        for diff_id in map(str, diff_ids):
            names.append(_name(names[-1] if names else "", diff_id, self._digest(diff_id)))
        return tuple(names)

    def _digest(self, diff_id: str) -> str:
        """Return the identity of the set of a layer, which does not change during this process."""
        if diff_id not in self._digests:
            digest = ""
            with suppress(FileNotFoundError):
                digest = hashlib.sha256(self._path(diff_id).read_bytes()).hexdigest()
            self._digests[diff_id] = digest
        return self._digests[diff_id]

    def keep_only(self, diff_ids: set[str]) -> None:
        """Remove the sets of all other layers. The caller has exclusive access."""
        with suppress(FileNotFoundError):
            for path in list(self._directory.iterdir()):
                if path.name not in diff_ids:
                    path.unlink()

    def _path(self, diff_id: str) -> Path:
        if not _NAME.match(diff_id):
            raise ValueError(f"not a diff ID: {diff_id!r}")
        return self._directory / diff_id
