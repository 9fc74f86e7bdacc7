"""What a root file system is made of; apart from `runtime.sandbox.spec`, because stores need it and run nothing."""

from pathlib import Path

from pybuild.runtime.values import frozen


@frozen
class OverlayRoot:
    """A root made by overlayfs: *lowers*, the lowest first; without *upper* it is read-only."""

    lowers: tuple[Path, ...]
    upper: Path | None = None
    work: Path | None = None
    lasting: bool = False
    """What is written outlives a crash of the host, as far as programs ask for it: see `overlay_mount.OpenLayers`."""


@frozen
class DirectoryRoot:
    """A root that is one plain directory."""

    path: Path
    read_only: bool = False


Root = OverlayRoot | DirectoryRoot
