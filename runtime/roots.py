"""What a root file system is made of; apart from `runtime.spec`, because stores need it where nothing is run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayRoot:
    """A root made by overlayfs: *lowers* from the bottom up; without *upper* it is read-only."""

    lowers: tuple[Path, ...]
    upper: Path | None = None
    work: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRoot:
    """A root that is one plain folder."""

    path: Path
    read_only: bool = False


Root = OverlayRoot | DirectoryRoot
