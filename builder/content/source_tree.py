"""A tree that files are selected from: the build context without ignored files, a stage, an image.

A *group* is what one match of a pick selects: one file, or one directory with everything below it, with names relative
to the destination.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from pybuild.runtime.paths.filesystems import identity
from pybuild.runtime.paths.safepath import Root, names_and_statuses, read_xattrs

if TYPE_CHECKING:
    from pybuild.grammar.ignorefile import IgnoreFile

_LARGE = 30_000
"""From this number on, the items of a directory are kept in less memory."""
Xattrs = tuple[tuple[str, bytes], ...]


class Item:
    """One selected entry: its *name* below the destination, its *path* in the source, its status."""

    __slots__ = ("data", "name", "path", "stat", "xattrs")

    def __init__(
        self, name: str, path: str, stat: os.stat_result, data: bytes | None = None, xattrs: Xattrs | None = None
    ) -> None:
        self.name, self.path, self.stat = name, path, stat
        self.data = data
        """The content of a small file that was read for its digest and need not be read again."""
        self.xattrs = xattrs
        """Extended attributes of a copy; None when they were not read yet."""


class Group(NamedTuple):
    """One match of one pick. *base* is its own name; the first item of a directory is itself, named ""."""

    base: str
    is_directory: bool
    items: list[Item]


class SourceTree:
    """A tree to select files from, which owns *root*. *id* identifies it across builds, "" when nothing does."""

    def __init__(
        self,
        *,
        root: Root,
        ignore: "IgnoreFile | None" = None,
        owned_by_root: bool = False,
        where: str = "the build context",
        id: str = "",  # noqa: A002 - the name of the attribute
    ) -> None:
        self.root, self.ignore, self.owned_by_root, self.where, self.id = root, ignore, owned_by_root, where, id
        self.mounts: dict[int, str | None] = {}
        """Identity of each file system, by device number; None for one whose change times cannot be trusted."""

    def owner(self, status: os.stat_result) -> tuple[int, int]:
        """Return the owner that a copy of an entry has."""
        return (0, 0) if self.owned_by_root else (status.st_uid, status.st_gid)

    def file_system(self, item: "Item") -> str | None:
        """Return the identity of the file system of *item*, None when files must be read in each build."""
        device = item.stat.st_dev
        if device not in self.mounts:
            handle = self.root.open(item.path, os.O_PATH | os.O_NOFOLLOW)
            try:
                self.mounts[device] = identity(handle)
            finally:
                os.close(handle)
        return self.mounts[device]

    def xattrs(self, handle: int) -> Xattrs:
        """Return the extended attributes of an open file that a copy of it has.

        Attributes that programs of the user set on files of a context, such as the URL of a download, are not copied.
        """
        every = read_xattrs(handle)
        if not every:
            return ()
        from pybuild.builder.oci.layers.host_entry import portable_xattrs

        found = portable_xattrs(every.items())
        return tuple(item for item in found if not (self.owned_by_root and item[0].startswith("user.")))

    def hides(self, path: str) -> bool:
        """Return whether the ignore file excludes *path*, which is not followed at its end, or a symlink on the way."""
        above, _, name = path.rpartition("/")
        if self.ignore is None or not above:
            return self.excluded((), path) is not None
        links, place = self.way(above)
        return self.excluded(links, f"{place}/{name}".lstrip("/")) is not None

    def way(self, path: str) -> tuple[tuple[str, ...], str]:
        """Return the places of the symlinks on the way to *path*, if files may be ignored, and where the way ends.

        As in BuildKit, whose client does not send what is excluded, a pattern applies to the place of a file or
        symlink, by whatever path a Dockerfile names it.
        """
        if self.ignore is None or "/" not in path:
            real = self.root.real(path)
            if self.ignore is None or real == path:
                return (), real
        from pybuild.runtime.paths.walk import Walk

        with closing(Walk(self.root.fd, missing_ok=True)) as walk:
            walk.run(path, follow=True)
            return tuple(walk.links), "/".join(walk.names)

    def excluded(self, links: tuple[str, ...], place: str) -> str | None:
        """Return the first of *links* and *place* that the ignore file excludes, or None."""
        if self.ignore is None:
            return None
        return next((path for path in (*links, place) if path and self.ignore.ignores(path)), None)


def group_at(source: SourceTree, path: str, exclude: "IgnoreFile | None") -> Group | None:
    """Return the group at *path*, None when nothing is selected. A symlink at its end is followed inside the source."""
    status = source.root.stat(path)
    if status is None:
        return None
    links, real = source.way(path)
    hidden = source.excluded(links, real)
    base = path.rpartition("/")[2]
    if not stat.S_ISDIR(status.st_mode):
        if hidden is not None or (exclude is not None and exclude.ignores(base)):
            return None
        item = Item(base, real, status)
        return Group(base, False, [_regular(item) if source.owned_by_root else item])
    if _hides_all(source, hidden, real):
        return None
    items = [Item("", real, status), *islice(walk := _walk(source, real, exclude), _LARGE)]
    if len(items) > _LARGE:
        from pybuild.builder.content.large_trees import emptied, lean

        items = [*lean(chain(emptied(items), walk))]
    return Group(base, True, items)


def hides_directory(source: SourceTree, path: str) -> bool:
    """Return whether the ignore file excludes the directory at *path* with all of its entries."""
    links, real = source.way(path)
    return _hides_all(source, source.excluded(links, real), real)


def _hides_all(source: SourceTree, excluded: str | None, directory: str) -> bool:
    """Return whether nothing of *directory* is visible; *excluded* is the first excluded place on the way to it."""
    if source.ignore is None or excluded is None:
        return False
    # An ignored directory is visible when a `!` pattern selects something in it.
    may_show = excluded == directory and source.ignore.may_descend(directory)
    return not may_show or next(_walk(source, directory, None), None) is None


def _walk(source: SourceTree, path: str, exclude: "IgnoreFile | None") -> Iterator[Item]:
    """Yield everything below the directory at *path*, directories before their entries; symlinks are not followed.

    One directory is open at a time, so a tree may be as deep as a path can be long.
    """
    waiting = [""]
    # By name, and only where there is something: a large tree has many directories.
    hidden: dict[str, tuple[Item, ...]] = {}
    shown: set[str] = set()
    while waiting:
        name = waiting.pop()
        hidden_above = hidden.pop(name, ())
        entries = entries_of(source, f"{path}/{name}".strip("/"), name)
        if source.ignore is None and exclude is None:
            # Nothing is ignored: the fast path of most large contexts.
            yield from entries
            waiting.extend(item.name for item in reversed(entries) if stat.S_ISDIR(item.stat.st_mode))
            continue
        below = []
        for item in entries:
            is_directory = stat.S_ISDIR(item.stat.st_mode)
            is_hidden = _is_hidden(source, item, exclude, is_directory=is_directory)
            if not is_hidden:
                # An ignored directory is visible when a `!` pattern selects something below it.
                owed = [above for above in hidden_above if above.name not in shown]
                shown.update(above.name for above in owed)
                yield from owed
                yield item
            if is_directory and (not is_hidden or _may_descend(source, item, exclude)):
                below.append(item.name)
                if is_hidden or hidden_above:
                    hidden[item.name] = (*hidden_above, item) if is_hidden else hidden_above
        waiting.extend(reversed(below))


def entries_of(source: SourceTree, path: str, name: str) -> list[Item]:
    """Return the entries of one directory in byte order, without the sockets of a stage, which no layer can contain."""
    directory = source.root.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = names_and_statuses(directory)
    finally:
        os.close(directory)
    outer, inner = f"{name}/" if name else "", f"{path}/" if path else ""
    items = [Item(own := outer + entry, own if outer == inner else inner + entry, status) for entry, status in found]
    if any(stat.S_ISSOCK(mode) for mode in {status.st_mode for _, status in found}):
        return [_regular(item) for item in items if source.owned_by_root or not stat.S_ISSOCK(item.stat.st_mode)]
    return items


def _regular(item: Item) -> Item:
    """Return *item*; for a socket of the build context the empty file that BuildKit's client makes of it."""
    status = item.stat
    if not stat.S_ISSOCK(status.st_mode):
        return item
    mode = stat.S_IFREG | stat.S_IMODE(status.st_mode)
    times = {"st_mtime_ns": status.st_mtime_ns, "st_ctime_ns": status.st_ctime_ns}
    plain = os.stat_result((mode, status.st_ino, status.st_dev, 1, 0, 0, 0, 0, int(status.st_mtime), 0), times)
    return Item(item.name, item.path, plain, b"", ())


def _is_hidden(source: SourceTree, item: Item, exclude: "IgnoreFile | None", *, is_directory: bool) -> bool:
    if exclude is not None and exclude.ignores(item.name, is_dir=is_directory):
        return True
    return source.ignore is not None and source.ignore.ignores(item.path, is_dir=is_directory)


def _may_descend(source: SourceTree, item: Item, exclude: "IgnoreFile | None") -> bool:
    """Return whether a ``!`` pattern could select something below an ignored directory."""
    if exclude is not None and exclude.ignores(item.name) and not exclude.may_descend(item.name):
        return False
    return source.ignore is None or not source.ignore.ignores(item.path) or source.ignore.may_descend(item.path)
