"""Opening the file of the database in the ways that its disk permits, and reading its header without SQLite.

Closing any descriptor of a file releases all locks that the process has on it (fcntl(2), "Record locks"), also those of
SQLite. Another process then takes itself for the last user of the database, and deletes the log that this one still
writes to: records are lost, or a query fails with "disk I/O error". So the header is not read while a connection of
this process has the file open; whoever opened that has looked at it.

SQLite writes to the index of its log through shared memory. On btrfs and the like even a page that was written before
takes new space, and where there is none, as at the limit of a quota, the kernel ends the process with SIGBUS. So on a
full disk of that kind the index is not used: neither by a new connection, nor to close one.
"""

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from pybuild.builder.store.free_space import is_short
from pybuild.builder.store.schema import APPLICATION, check_owner, make, migrate
from pybuild.runtime.paths.filesystems import is_copy_on_write

SAY_AFTER = 2.0
"""Seconds that SQLite itself waits for a lock of another process."""
_ALONE = "PRAGMA locking_mode=EXCLUSIVE"
"""With exclusive locking, SQLite keeps the index of its log in its own memory, not in shared memory."""

_MAGIC = b"SQLite format 3\0"
_LENGTH = 100  # bytes: "The Database Header" of SQLite's file format
_File = tuple[int, int]
_open: Counter[_File | None] = Counter()
"""The number of connections of this process, by the device and the inode of the file."""
_left_open: list[sqlite3.Connection] = []
"""Connections that end with the process, because to close them would end it."""
_turn = threading.Lock()
"""Held while a connection is opened or closed, and while the header is read."""


class CountedConnection:
    """A connection of SQLite that is counted, as long as it is open. *path* is None for a database in memory."""

    def __init__(self, path: Path | None, connect: Callable[[], sqlite3.Connection]) -> None:
        with _turn:
            self.sqlite = connect()
            self._path, self._file = path, _file(path)
            _open[self._file] += 1

    def close(self) -> None:
        """Close it. Raises sqlite3.Error when the log could not be written back; it is closed all the same."""
        with _turn:
            if self._path is not None and _cannot_be_shared(self._path):
                _left_open.append(self.sqlite)
                return
            _open[self._file] -= 1
            self.sqlite.close()


def is_foreign(path: Path) -> bool:
    """Return whether the file does not begin as a database of ours does. False for one that is empty or missing."""
    with _turn:
        file = _file(path)
        if file is None or _open[file]:
            return False
        head = _head(path)
    return bool(head) and (not head.startswith(_MAGIC) or _is_of_another(head, path))


def _file(path: Path | None) -> _File | None:
    try:
        status = None if path is None else path.stat()
    except FileNotFoundError:  # of a read-only store, whose database is in memory
        return None
    return status and (status.st_dev, status.st_ino)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LENGTH)


def _is_of_another(head: bytes, path: Path) -> bool:
    """Return whether the header names another program, or neither one nor a schema: both may still be in the log."""
    version, application = head[60:64], int.from_bytes(head[68:72], "big")
    if application:
        return application != APPLICATION
    return not any(version) and not os.path.exists(f"{path}-wal")


def connect(path: Path, *settings: str) -> sqlite3.Connection:
    """Open the database at *path*, which is created when it is missing, with more *settings*.

    Raises:
        sqlite3.Error, ForeignDatabase, StoreError: see `builder.store.schema.migrate` for the latter two.
    """
    if not os.access(path.parent, os.W_OK):
        return _read_only(path)
    if _cannot_be_shared(path):
        return _with_less(path)
    try:
        return _open_prepared(path, "PRAGMA journal_mode=WAL", *settings)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
            raise
        return _with_less(path)


def _cannot_be_shared(path: Path) -> bool:
    """Return whether a write to the shared memory of the database could end this process."""
    try:
        return is_copy_on_write(path.parent) and is_short(path.parent)
    except OSError:  # the store has been removed
        return False


def _with_less(path: Path) -> sqlite3.Connection:
    """Open the database without shared memory, which a full disk and some file systems do not support."""
    if not is_short(path.parent):
        # A database in WAL mode cannot be opened without shared memory, not even to leave that mode, unless the lock
        # is exclusive from the first access on (sqlite.org/wal.html, "Use of WAL Without Shared-Memory").
        return _open_prepared(path, _ALONE, "PRAGMA journal_mode=TRUNCATE")
    try:
        return _open_prepared(path, _ALONE)
    except sqlite3.OperationalError:
        # The disk has not even an inode left for the log.
        return _read_only(path)


def in_memory() -> sqlite3.Connection:
    """Return an empty database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    make(connection)
    return connection


def _open_prepared(path: Path, *settings: str) -> sqlite3.Connection:
    # None: the module would begin transactions by itself. Threads share the connection under the lock of `Database`.
    connection = sqlite3.connect(path, timeout=SAY_AFTER, isolation_level=None, check_same_thread=False)
    try:
        if _ALONE in settings:
            connection.execute(_ALONE)
        # Checked before anything is changed: the file may belong to another program.
        check_owner(connection, path)
        # With a log, NORMAL never leaves a damaged file. A loss of power may take the last rows: these can be made
        # again.
        for setting in (*settings, "PRAGMA synchronous=NORMAL"):
            connection.execute(setting)
        migrate(connection, path)
        if "PRAGMA journal_mode=TRUNCATE" in settings:
            connection.execute("PRAGMA locking_mode=NORMAL")
            connection.execute("SELECT count(*) FROM records")  # the lock is only released by the next query
    except BaseException:
        with suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _read_only(path: Path) -> sqlite3.Connection:
    """Open the database of a read-only store; a missing one counts as empty."""
    if not path.exists():
        return in_memory()
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        # The log of a builder that was killed has the rest of the file.
        return _copy_to_memory(path, log)
    # Otherwise SQLite creates the files of the log even for reading (sqlite.org/wal.html, "Read-Only Databases").
    address = f"file:{quote(os.fspath(path))}?immutable=1"
    found = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        migrate(found, path)
    except sqlite3.OperationalError:
        # An older schema cannot be migrated in a read-only store, so it is migrated in memory.
        found.close()
        return _copy_to_memory(path)
    except BaseException:
        found.close()
        raise
    return found


def _copy_to_memory(*files: Path) -> sqlite3.Connection:
    """Return a database in memory with the content of *files*, a database and its log."""
    import shutil

    from pybuild.runtime.paths.scratch import temporary

    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with temporary() as directory:
        copies = [Path(shutil.copyfile(file, directory / file.name)) for file in files]
        with closing(_open_prepared(copies[0])) as found:
            found.backup(memory)
    return memory
