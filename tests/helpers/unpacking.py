"""Layers unpacked one over the other in both formats; all must agree, and nothing outside may change.

Overlays are made twice, the second time by an unpacker that soon forgets directories.
"""

import io
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from unittest.mock import patch

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers import unpack_directory
from pybuild.builder.oci.layers.unpack import Unpacked, unpack
from pybuild.builder.oci.limits import Limits
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix
from tests.helpers.rawtar import canary, watched
from tests.helpers.trees import Tree, read_directory

_numbers = count()


class Ground:
    """A place to unpack in; *outside* holds a canary beside the roots."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self._directory, self._limits = directory, limits or Limits()
        self.outside = directory / "outside"
        self.outside.mkdir()
        self.canary = canary(self.outside)
        self.skipped: tuple[str, ...] = ()
        self.compare_links = True
        """Off where hard links of a lower layer get new names: overlayfs copies one of them and tears them apart."""

    def apply(self, *layers: bytes) -> Tree:
        """Return the tree that *layers* make, the lowest first. Raises LayerError when one is refused."""
        before = watched(self.outside)
        place = self._directory / f"run-{next(_numbers)}"
        place.mkdir()
        try:
            ways = (self.as_tree, self.as_overlay, self._as_forgetful_overlay)
            trees = [self._outcome(way, place, layers) for way in ways]
        finally:
            assert watched(self.outside) == before
            assert sorted(os.listdir(place)) == ["few", "overlay", "tree"]
        tree, *overlays = (found if self.compare_links else _unlinked(found) for found in trees)
        for overlay in overlays:
            self._compare(tree, overlay)
        if isinstance(tree, LayerError):
            raise tree
        return tree

    def _compare(self, tree: Tree | LayerError, overlay: Tree | LayerError) -> None:
        if isinstance(tree, LayerError) or isinstance(overlay, LayerError):
            assert isinstance(tree, LayerError), overlay
            assert isinstance(overlay, LayerError), tree
            return
        for path in sorted(tree.keys() | overlay.keys()):
            assert overlay.get(path) == tree.get(path), (
                f"{path}: {overlay.get(path)} on overlay, {tree.get(path)} as a tree"
            )

    def _outcome(
        self, way: Callable[[Path, tuple[bytes, ...]], Tree], place: Path, layers: tuple[bytes, ...]
    ) -> Tree | LayerError:
        try:
            return way(place, layers)
        except LayerError as error:
            return error

    def as_tree(self, place: Path, layers: tuple[bytes, ...]) -> Tree:
        directory = place / "tree"
        directory.mkdir()
        directory.chmod(0o755)
        os.utime(directory, (0, 0))  # what a lowest layer that does not name its root gives it on overlay
        for layer in layers:
            self._unpack(layer, directory, None, overlay=False)
        return read_directory(directory)

    def _as_forgetful_overlay(self, place: Path, layers: tuple[bytes, ...]) -> Tree:
        few = place / "few"
        few.mkdir()
        # A hard link needs two.
        with patch.object(unpack_directory, "_OPEN_DIRECTORIES", 2):
            return self.as_overlay(few, layers)

    def as_overlay(self, place: Path, layers: tuple[bytes, ...]) -> Tree:
        top = place / "overlay"
        top.mkdir()
        directories: list[Path] = []
        for layer in layers:
            directory = top / f"{len(directories)}"
            directory.mkdir()
            with merged(directories, top / "view") as view:
                root = Root.open_host(view) if directories else None
                try:
                    self._unpack(layer, directory, root, overlay=True)
                finally:
                    if root is not None:
                        root.close()
            directories.append(directory)
        with merged(directories, top / "view") as view:
            return read_directory(view)

    def _unpack(self, layer: bytes, directory: Path, lower: Root | None, *, overlay: bool) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            done = unpack(io.BytesIO(layer), fd, overlay=overlay, diff_id=None, lower=lower, limits=self._limits)
        finally:
            os.close(fd)
        self.skipped = done.skipped


def _unlinked(tree: Tree | LayerError) -> Tree | LayerError:
    return tree if isinstance(tree, LayerError) else {path: replace(node, same="") for path, node in tree.items()}


@contextmanager
def merged(directories: list[Path], view: Path) -> Iterator[Path]:
    """The directories, the lowest first, as overlayfs shows them; overlayfs takes no single one."""
    if len(directories) < 2:
        yield directories[0] if directories else view
        return
    view.mkdir(exist_ok=True)
    lowers = ":".join(os.fspath(directory) for directory in reversed(directories))
    # In a user namespace, where layers are marked by other attributes.
    own = ",userxattr" if overlay_xattr_prefix().startswith("user.") else ""
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lowers}{own}", view], check=True)
    try:
        yield view
    finally:
        subprocess.run(["umount", view], check=True)


def paths(tree: Tree) -> list[str]:
    """Return the paths of a tree without its root."""
    return sorted(tree)[1:]


def into(target: Path, data: bytes, *, diff_id: Digest | None = None, limits: Limits | None = None) -> Unpacked:
    """Unpack the layer *data* into the directory *target*."""
    target.mkdir(exist_ok=True)
    fd = os.open(target, os.O_RDONLY)
    try:
        return unpack(io.BytesIO(data), fd, overlay=True, diff_id=diff_id, limits=limits or Limits())
    finally:
        os.close(fd)
