"""Digests of source files: read once, remembered by (path, size, mtime, ctime, inode, file system).

A file whose change time is younger than one tick of the clock when it is read is not remembered: a second write within
the tick would not show. Small files keep their content in the item, within one budget for the whole build, so that a
following copy need not read them again.
"""

import hashlib
import os
import stat
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from pybuild.builder.content.remembered_files import RememberedFiles
from pybuild.builder.content.selection_digest import Memory
from pybuild.builder.content.source_tree import Item, SourceTree
from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.store.database import Database

_KEEP_FILE = 128 << 10
"""Files up to this size keep their content for the copy, as far as the budget of the build permits."""
_LARGE = 1 << 20
"""Files from this size on are read ahead by threads."""
TICK_NS = 20_000_000
"""Two ticks of the slowest usual clock (CONFIG_HZ=100): times of files advance only with each tick."""
# Meanwhile the name may lead to a FIFO or a terminal: neither must block, or become the terminal of this process.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_WORD = (1 << 64) - 1
_STATE = struct.Struct("<4Q8s")

Begun = Callable[[], bytes]
"""Waits for the digest of a file that is being read."""


class FileDigests:
    """Digests of the regular files of one source; a context manager that stores new ones at its end."""

    def __init__(self, source: SourceTree, database: Database, memory: Memory) -> None:
        self.began_ns = time.time_ns()
        self._source = source
        self._memory = memory
        self._remembered = RememberedFiles(database, source.id)
        self._places: dict[int, bytes] = {}
        """The identity of each file system in rows, by device number; b"" for one without an identity."""
        self._directories: dict[str, int] = {}
        self._ahead = ExitStack()
        self._stopped = False
        """Whether the threads should stop, because no caller waits for them any more."""
        self._large: dict[str, Begun] = {}
        """Digests that threads compute, by path; calling one waits for it."""
        self.racy = False
        """True once a file was too young to be remembered."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stopped = True
        self._ahead.close()
        self._close_directories()
        if kind is None:
            self._remembered.store()

    def prefetch(self, items: Iterable[Item]) -> None:
        """Start reading the unknown large files among *items*, several at a time."""
        large = (item for item in items if item.stat.st_size >= _LARGE)
        wanted = [item for item in large if stat.S_ISREG(item.stat.st_mode) and not self._is_known(item)]
        # A single one is read by this thread when its turn comes.
        if len(wanted) > 1:
            from pybuild.builder.content.large_files import ReadAhead

            threads = self._ahead.enter_context(ReadAhead())
            for item in wanted:
                self._large[item.path] = threads.begin(self._read_alone, item)

    def __call__(self, item: Item) -> bytes:
        """Return the digest of a regular file: 32 bytes of its content, 64 when it has extended attributes."""
        if item.data is not None:
            return hashlib.sha256(item.data).digest() + _xattr_digest(item)
        state = self._state(item)
        known = self._remembered.get(item.path)
        if state and known is not None and known.startswith(state):
            return known[_STATE.size :]
        begun = self._large.pop(item.path, None) if self._large else None
        digest = begun() if begun is not None else self._read(item)
        if state and item.stat.st_ctime_ns < self.began_ns - TICK_NS:
            self._remembered.learn(item.path, state + digest)
        else:
            self.racy = True
        return digest

    def _is_known(self, item: Item) -> bool:
        state = self._state(item)
        return bool(state) and (self._remembered.get(item.path) or b"").startswith(state)

    def _state(self, item: Item) -> bytes:
        """Return numbers that change with every write to a file; none on a file system without such numbers."""
        st = item.stat
        place = self._places.get(st.st_dev)
        if place is None:
            place = self._places[st.st_dev] = self._place(item)
        if not place:
            return b""
        # What `state_of` returns: times may lie before 1970.
        return _STATE.pack(st.st_size, st.st_mtime_ns & _WORD, st.st_ctime_ns & _WORD, st.st_ino, place)

    def _place(self, item: Item) -> bytes:
        where = self._source.file_system(item) if self._source.id else None
        return b"" if where is None else hashlib.sha256(where.encode()).digest()[:8]

    def _read(self, item: Item) -> bytes:
        directory, _, name = item.path.rpartition("/")
        parent = self._directories.get(directory)
        parent = self._open_directory(directory) if parent is None else parent
        size = item.stat.st_size
        if size >= _LARGE:
            return self._read_large(open_selected(parent, name, item), item)
        data = read_small(self._source, parent, name, item)
        if size <= _KEEP_FILE and size <= self._memory.left:
            self._memory.left -= size
            item.data = data
        return hashlib.sha256(data).digest() + _xattr_digest(item)

    def _read_alone(self, item: Item) -> bytes:
        """Read a large file in a thread of the pool. It is opened only here, because there may be thousands."""
        directory, _, name = item.path.rpartition("/")
        parent = self._source.root.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            handle = open_selected(parent, name, item)
        finally:
            os.close(parent)
        return self._read_large(handle, item)

    def _read_large(self, handle: int, item: Item) -> bytes:
        total, length = hashlib.sha256(), 0
        with os.fdopen(handle, "rb", buffering=0) as file:
            item.xattrs = self._source.xattrs(handle)
            for piece in self._pieces(file.fileno(), item):
                total.update(piece)
                length += len(piece)
            same = state_of(os.fstat(handle)) == state_of(item.stat)
        if not same or length != item.stat.st_size:
            raise changed(item)
        return total.digest() + _xattr_digest(item)

    def _pieces(self, handle: int, item: Item) -> Iterator[bytes | memoryview]:
        from pybuild.builder.content.large_files import pieces

        for piece in pieces(handle, item.stat):
            if self._stopped:
                raise Cancelled("cancelled")
            yield piece

    def _open_directory(self, directory: str) -> int:
        # Files come directory by directory, so a few open ones are enough for any context.
        if len(self._directories) >= 32:
            self._close_directories()
        handle = self._directories[directory] = self._source.root.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        return handle

    def _close_directories(self) -> None:
        for handle in self._directories.values():
            os.close(handle)
        self._directories.clear()


def open_selected(directory: int, name: str, item: Item) -> int:
    """Open the file that was selected. Raises BuildError when it was replaced or written to meanwhile."""
    handle = os.open(name, _OPEN, dir_fd=directory)
    if state_of(os.fstat(handle)) != state_of(item.stat):
        os.close(handle)
        raise changed(item)
    return handle


def read_small(source: SourceTree, directory: int, name: str, item: Item) -> bytes:
    """Return the content of the file that was selected, not a large one, and note its extended attributes in *item*."""
    size = item.stat.st_size
    handle = os.open(name, _OPEN, dir_fd=directory)
    try:
        data = os.read(handle, size + 1) if size else b""
        # One look is enough: what was written to or replaced before, too, has another state now.
        if len(data) != size or state_of(os.fstat(handle)) != state_of(item.stat):
            raise changed(item)
        if item.xattrs is None:
            item.xattrs = source.xattrs(handle)
    finally:
        os.close(handle)
    return data


def state_of(status: os.stat_result) -> tuple[int, ...]:
    """Return the parts of the status that change with every write to a file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _xattr_digest(item: Item) -> bytes:
    if not item.xattrs:
        return b""
    return hashlib.sha256(repr(sorted(item.xattrs)).encode()).digest()


def changed(item: Item) -> BuildError:
    """Return the error for a file that changed after it was selected."""
    return BuildError(f'"/{item.path}" changed while it was read', hint="build again when nothing writes to it")
