"""The state of a directory while a layer is unpacked, as far as it is not on the disk, and its descriptor."""

import os
from collections import OrderedDict

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORIES = 128

_NOTHING: set[str] = set()
"""One empty set for all directories that have nothing to put in: a layer may have a million directories."""


class Directory:
    """A directory in which a layer makes or deletes something. `UnpackTree` makes them; compared by identity."""

    __slots__ = (
        "children", "copied", "explicit", "fd", "forgotten", "in_lower", "links", "made", "mtime_ns", "name", "opaque",
        "ours", "parent", "reset", "whiteouts",
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
        self.forgotten = False
        """Overlay: the tree has no place for it any more. When its path is named again, it gets another object."""

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

    @property
    def is_settled(self) -> bool:
        """Whether nothing is known of it but what is on the disk, once it has its time (overlay)."""
        noted = self.children or self.whiteouts or self.links or self.copied
        return self.explicit and not (noted or self.opaque or self.deleted)

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


class OpenDirectories:
    """The descriptors of the directories that were used last.

    When it is *forgetful*, a directory that is closed gets its time at once, and `forget_closed` drops its object if
    nothing else is known of it: a million of them would take 400 MB.
    """

    def __init__(self, *, forgetful: bool) -> None:
        self._forgetful = forgetful
        self._open: OrderedDict[Directory, None] = OrderedDict()
        self._closed: list[Directory] = []
        """Those that were closed since the last `forget_closed`."""

    def close(self) -> None:
        """Close all of them."""
        for directory in self._open:
            os.close(directory.fd)
        self._open.clear()
        self._closed.clear()

    def fd(self, directory: Directory) -> int:
        """Return an open descriptor of *directory*. It is closed after `_OPEN_DIRECTORIES` others were opened."""
        if directory.fd < 0:
            self._reopen(directory)
        elif directory.parent is not None:
            self._open.move_to_end(directory)
        return directory.fd

    def forget_closed(self) -> None:
        """Forget directories that are closed and settled. To be called while no caller holds one."""
        while self._closed:
            _forget(self._closed.pop())

    def _reopen(self, directory: Directory) -> None:
        names: list[str] = []
        start: Directory = directory
        while start.fd < 0 and start.parent is not None:
            names.append(start.name)
            start = start.parent
        fd = os.dup(start.fd)
        while names:
            outer = fd
            try:
                fd = os.open(names.pop(), _DIRECTORY, dir_fd=outer)
            finally:
                os.close(outer)
        directory.fd = fd
        self._open[directory] = None
        if len(self._open) > _OPEN_DIRECTORIES:
            self._close_oldest()

    def _close_oldest(self) -> None:
        oldest, _ = self._open.popitem(last=False)
        if self._forgetful and oldest.explicit and oldest.mtime_ns is not None:
            os.utime(oldest.fd, ns=(oldest.mtime_ns, oldest.mtime_ns))
            self._closed.append(oldest)
        os.close(oldest.fd)
        oldest.fd = -1


def _forget(directory: Directory) -> None:
    """Forget a directory if it is closed and settled, and then those above it for which that is now true as well."""
    while (above := directory.parent) is not None and directory.fd < 0 and directory.is_settled:
        directory.forgotten = True
        if above.children.get(directory.name) is not directory:
            return  # it was removed
        del above.children[directory.name]
        directory = above
