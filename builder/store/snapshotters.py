"""Choosing the snapshotter of a store: overlayfs if it works, else whole copies."""

import os
from pathlib import Path

from pybuild.builder.store.directory import COPYING, OVERLAY
from pybuild.runtime.errors import SnapshotError
from pybuild.runtime.snapshots.snapshotter import Snapshotter


def choose(root: Path, wanted: str) -> tuple[Snapshotter, str]:
    """Return the snapshotter for the store at *root*, and why it is not overlayfs, "" when it is.

    *wanted* is ``overlay``, ``copying``, or "" for the best that works. A read-only store keeps the one that it has.

    Raises:
        SnapshotError: *wanted* is something else.
        OSError: the disk of the store failed.
    """
    from pybuild.runtime.snapshots.copying import CopyingSnapshotter
    from pybuild.runtime.snapshots.overlay import OverlaySnapshotter

    if wanted not in {"", "overlay", "copying"}:
        raise SnapshotError(f"unknown snapshotter {wanted!r} in $PYBUILD_SNAPSHOTTER: overlay or copying")
    if wanted == "copying":
        return CopyingSnapshotter(root / COPYING), ""
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        copies = (root / COPYING).exists() and not (root / OVERLAY).exists()
        return (CopyingSnapshotter(root / COPYING) if copies else OverlaySnapshotter(root / OVERLAY)), ""
    overlay = OverlaySnapshotter(root / OVERLAY)
    refusal = _refusal(root) if not wanted else None
    if refusal is None:
        return overlay, ""
    return CopyingSnapshotter(root / COPYING), (refusal.strerror or "").lower()


def present(root: Path) -> tuple[Snapshotter, ...]:
    """Return the snapshotters that have trees in the store, for inspecting and removing; creates nothing."""
    from pybuild.runtime.snapshots.copying import CopyingSnapshotter
    from pybuild.runtime.snapshots.overlay import OverlaySnapshotter

    kinds: tuple[tuple[str, type[OverlaySnapshotter | CopyingSnapshotter]], ...] = (
        (OVERLAY, OverlaySnapshotter),
        (COPYING, CopyingSnapshotter),
    )
    return tuple(kind(root / folder) for folder, kind in kinds if (root / folder).exists())


def _refusal(root: Path) -> OSError | None:
    from pybuild.runtime.snapshots.overlay_probe import overlay_refusal

    return overlay_refusal(root / OVERLAY)
