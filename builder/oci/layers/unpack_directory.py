"""The state of a directory while a layer is unpacked, as far as it is not on the disk."""

_NOTHING: set[str] = set()
"""One empty set for all directories that have nothing to put in: a layer may have a million directories."""


class Directory:
    """A directory in which a layer makes or deletes something. `UnpackTree` makes them; compared by identity."""

    __slots__ = (
        "children", "copied", "explicit", "fd", "in_lower", "links", "made", "mtime_ns", "name", "opaque", "ours",
        "parent", "reset", "whiteouts",
    )  # fmt: skip

    def __init__(self, parent: "Directory | None", name: str) -> None:
        self.parent, self.name = parent, name
        self.children: dict[str, Directory] = {}
        self.fd = -1
        self.in_lower = False
        """Overlay: the parent snapshot has a directory at this path, and directories all the way to it."""
        self.explicit = False
        """The archive has an entry for it."""
        self.mtime_ns: int | None = None
        """The time to give it at the end; None when it is not known yet."""
        self.opaque = False
        self.whiteouts = _NOTHING
        self.links = _NOTHING
        """Overlay: names in it that are symlinks of the parent snapshot and were followed."""
        self.copied = _NOTHING
        """Overlay: names in it that were copied from the parent snapshot only for a hard link to lead there."""
        self.made = _NOTHING
        """Tree: names in it, other than directories, that this layer has made."""
        self.ours = False
        """Something in it or below it comes from this layer."""
        self.reset = False
        """Tree: the layer removes the directory that was here, and has put things at the same path."""

    @property
    def path(self) -> str:
        """The path from the root of the tree, free of symlinks."""
        names = []
        directory = self
        while directory.parent is not None:
            names.append(directory.name)
            directory = directory.parent
        return "/".join(reversed(names))

    @property
    def deleted(self) -> bool:
        """Whether the layer deletes what the parent snapshot has in this directory."""
        return self.opaque or (self.parent is not None and self.name in self.parent.whiteouts)

    @property
    def shows_lower(self) -> bool:
        """Whether what the parent snapshot has in this directory can be seen (overlay)."""
        here: Directory | None = self
        while here is not None and here.in_lower and not here.deleted:
            here = here.parent
        return here is None

    def claim(self) -> None:
        """Note that this layer has put something here."""
        directory: Directory | None = self
        while directory is not None and not directory.ours:
            directory.ours = True
            directory = directory.parent


def added(names: set[str], name: str) -> set[str]:
    """Return *names* of a directory with one more."""
    if names is _NOTHING:
        return {name}
    names.add(name)
    return names


def join(directory: Directory, name: str) -> str:
    """Return the path of *name* in *directory*."""
    path = directory.path
    return f"{path}/{name}" if path else name
