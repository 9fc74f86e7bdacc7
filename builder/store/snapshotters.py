"""Choosing the snapshotter of a store: overlayfs if it works, else whole copies."""

import os
from pathlib import Path

from pybuild.builder.store.directory import COPYING, OVERLAY, OWNERS
from pybuild.runtime.errors import SnapshotError, kernel_reason
from pybuild.runtime.sandbox.isolation import is_chroot, is_single
from pybuild.runtime.snapshots.id_map import id_map, is_of_user, tree_suffix
from pybuild.runtime.snapshots.snapshotter import Snapshotter


def choose(root: Path, name: str) -> tuple[Snapshotter, str]:
    """Return the snapshotter for the store at *root*, and why it is not overlayfs, "" when it is.

    *name* is ``overlay``, ``copying``, or "" for the best that works. A read-only store keeps the one that it has.

    Raises:
        SnapshotError: *name* is something else.
        OSError: the disk of the store failed.
    """
    from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
    from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter

    if name not in {"", "overlay", "copying"}:
        raise SnapshotError(f"unknown snapshotter {name!r} in $PYBUILD_SNAPSHOTTER: overlay or copying")
    overlays, trees = places(root)
    if is_single():
        from pybuild.runtime.ownership.recording import use_table

        use_table(root / OWNERS)
    # After a chroot alone nothing can be mounted, so there is nothing to try.
    if name == "copying" or (not name and is_chroot()):
        return CopyingSnapshotter(trees), ""
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        copies = trees.exists() and not overlays.exists()
        return (CopyingSnapshotter(trees) if copies else OverlaySnapshotter(overlays)), ""
    overlay = OverlaySnapshotter(overlays)
    # Whoever asks for overlayfs gets the error of the mount instead of copies.
    refusal = _refusal(overlays) if not name else None
    if refusal is None:
        return overlay, ""
    return CopyingSnapshotter(trees), kernel_reason(refusal)


def places(root: Path) -> tuple[Path, Path]:
    """Return where overlays and whole trees are whose files have the owners that this process sees."""
    overlays, trees = OVERLAY + tree_suffix(overlay=True), COPYING + tree_suffix(overlay=False)
    return root / overlays, root / trees


def present(root: Path) -> tuple[Snapshotter, ...]:
    """Return the snapshotters that have trees in the store, for inspecting and removing; creates nothing."""
    return _present(*places(root))


def abandoned(root: Path) -> tuple[Snapshotter, ...]:
    """Return the snapshotters of an older layout without a directory for each id map: no build uses their trees."""
    return _present(root / OVERLAY, root / COPYING) if is_of_user(id_map()) else ()


def _present(overlays: Path, trees: Path) -> tuple[Snapshotter, ...]:
    from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
    from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter

    kinds: tuple[tuple[Path, type[OverlaySnapshotter | CopyingSnapshotter]], ...] = (
        (overlays, OverlaySnapshotter),
        (trees, CopyingSnapshotter),
    )
    return tuple(kind(directory) for directory, kind in kinds if directory.exists())


def _refusal(directory: Path) -> OSError | None:
    from pybuild.runtime.snapshots.overlay_probe import overlay_refusal

    return overlay_refusal(directory)
