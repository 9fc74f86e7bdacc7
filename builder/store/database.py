"""The store's database: one SQLite file in WAL mode, shared by every process that uses the store.

A row that names a blob is written only after the blob is on disk, so a crash can lose rows but never leave a wrong one.
Reads and writes are single statements: each is atomic, the last writer wins, and everything here can be computed again.
So a file that is damaged, or not a database of ours, is no failure: this process continues with an empty database in
memory, and the next process with exclusive access moves the file away (`damaged_database`). No error of SQLite leaves
this module: it is retried, or becomes a StoreError; a wrong statement is a bug.

The file is opened by the first query, because most commands need none.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pybuild.builder.errors import StoreError
from pybuild.builder.store.connections import SAY_AFTER, CountedConnection, connect, in_memory, is_foreign
from pybuild.builder.store.free_space import is_short, no_room, not_writable
from pybuild.builder.store.schema import CACHES, ForeignDatabase

_R = TypeVar("_R")
_PATIENCE = 60.0
"""Seconds to wait for a writer. No transaction of ours takes even one."""
# SQLITE_PROTOCOL means a lock, too: in WAL mode another connection won the race for a transaction too often.
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# Reads beyond the end of the file or of a broken file system. Other I/O errors say nothing about the content.
_DAMAGED_EXACTLY = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
# READONLY is among them, because on a full disk the file may have been opened read-only (`connections`).
_PERHAPS_FULL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_TABLE_MISSING = ("no such table", "no such column")
# Pages of 4 KiB. The 1000 of SQLite's default are more than the reserve makes room for.
_SMALL_LOG = ("PRAGMA wal_autocheckpoint=16",)


def _ignore(_text: str) -> None:
    """Ignore the message."""


class Database:
    """One connection, which the threads of this process share under a lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: CountedConnection | None = None
        self._is_made_anew = False
        self._settings: tuple[str, ...] = ()
        self._ended = False
        self._found: dict[object, Any] = {}
        self._found_at: tuple[Any, ...] | None = None
        self.notice: Callable[[str], None] = _ignore
        """Takes messages for the user: about a wait, or a damaged file."""
        self.make_room: Callable[[], bool] = lambda: False
        """Frees the reserve on a full disk, once; set by commands that free space (`builder.store.store`)."""

    def one(self, statement: str, values: Sequence[object] = ()) -> "tuple[Any, ...] | None":
        """Return the first row of a query, None when there is none."""

        def first(connection: sqlite3.Connection) -> "tuple[Any, ...] | None":
            row: tuple[Any, ...] | None = connection.execute(statement, values).fetchone()
            return row

        return self._do(first)

    def all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return every row of a query."""
        return self._do(lambda connection: connection.execute(statement, values).fetchall())

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """Execute one statement; returns the number of changed rows."""
        return self._do(lambda connection: connection.execute(statement, values).rowcount)

    def run_all(
        self, statement: str, rows: Iterable[Sequence[object]], *, first: tuple[str, Sequence[object]] | None = None
    ) -> None:
        """Execute *first*, a statement with its values, then *statement* for each of *rows*, in one transaction."""
        # A retry reads them again, and they may come from a generator.
        kept = list(rows)

        def both(connection: sqlite3.Connection) -> None:
            if first is not None:
                connection.execute(*first)
            connection.executemany(statement, kept)

        self._do(lambda connection: _all_or_nothing(connection, both))

    def found(self) -> dict[object, Any]:
        """Return what readers keep in memory of these tables; it is empty again once another process has written."""
        # The version changes when another connection writes. It is None for a new connection.
        version = self.one("PRAGMA data_version")
        if version != self._found_at:
            self._found, self._found_at = {}, version
        return self._found

    def check(self) -> None:
        """Open the database now, so that an unusable one is an error before the store is changed."""
        self.one("SELECT 1")

    def save_space(self) -> None:
        """Checkpoint the log after a few pages, so that it stays small."""
        self._settings = _SMALL_LOG
        self.close()

    def clear(self) -> None:
        """Delete all rows. The caller has exclusive access: if the disk is too full for that, the file is removed."""
        self._found_at = None
        try:
            for table in CACHES:
                self.run(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        except StoreError:
            if not is_short(self._path.parent):
                raise
            self.close()
            # The log first, as in `damaged_database.set_aside`.
            for suffix in ("-wal", "-shm", ""):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            # A new file would need the space that is only about to be freed.
            with self._lock:
                self._continue_in_memory()

    def close(self) -> None:
        """Close the connection; the next statement opens another one."""
        with self._lock:
            self._drop_connection()

    def end(self) -> None:
        """Close the connection for good."""
        self._ended = True
        self.close()

    def refuse_ended(self) -> None:
        """Raise StoreError after `end`."""
        if self._ended:
            raise StoreError(f"the store {self._path.parent} is closed")

    def _do(self, work: Callable[[sqlite3.Connection], _R]) -> _R:
        """Return the result of *work* on the connection, retried after failures that may be temporary."""
        began = time.monotonic()
        with self._lock:
            self.refuse_ended()
            while True:
                try:
                    if self._connection is None:
                        self._connection = CountedConnection(self._path, lambda: connect(self._path, *self._settings))
                    return work(self._connection.sqlite)
                except ForeignDatabase:
                    self._replace("is not a database of pybuild")
                except sqlite3.Error as error:
                    self._overcome(error, began)

    def _overcome(self, error: sqlite3.Error, began: float) -> None:
        """Handle a failure so that a retry can succeed.

        Raises:
            StoreError: it cannot.
            RuntimeError: the statement itself is wrong: it does not suit tables that were just made.
        """
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if self._is_made_anew and code == sqlite3.SQLITE_ERROR:
            raise RuntimeError(f"{error}, in a new database") from error
        missing = code == sqlite3.SQLITE_ERROR and str(error).startswith(_TABLE_MISSING)
        if is_damage(error) or missing:
            self._replace("is damaged")
        elif code in _BUSY:
            self._wait(began)
        elif code == sqlite3.SQLITE_FULL or (code in _PERHAPS_FULL and is_short(self._path.parent)):
            self._drop_connection()
            self._settings = _SMALL_LOG
            if not self.make_room():
                raise no_room(self._path.parent) from error
        elif code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            raise not_writable(self._path.parent) from error
        else:
            raise StoreError(
                f"{self._path}: {error}", hint="see the kernel log, or use another store with --root"
            ) from error

    def _wait(self, began: float) -> None:
        waited = time.monotonic() - began
        if waited > _PATIENCE:
            raise StoreError(
                f"{self._path}: another process has held the database for {_PATIENCE:.0f} seconds",
                hint="another program than pybuild may have it open",
            )
        # SQLite has waited for SAY_AFTER in each attempt, so this is true after the first one only.
        if waited < 2 * SAY_AFTER:
            self.notice(f"waiting for another process that holds {self._path}")

    def _replace(self, what: str) -> None:
        """Continue without the file, and mark it to be set aside."""
        self._drop_connection()
        self._continue_in_memory()
        try:
            mark_of(self._path).touch(mode=0o600)
        except OSError:
            self.notice(f"{self._path} {what}: this command continues without it")
            return
        self.notice(f"{self._path} {what}: this command continues without it, and the next one moves it away")

    def _continue_in_memory(self) -> None:
        self._connection = CountedConnection(None, in_memory)
        self._is_made_anew = True

    def _drop_connection(self) -> None:
        connection, self._connection, self._found_at = self._connection, None, None
        self._is_made_anew = False
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                # The log could not be written back; the next process that opens the file does that.
                return


def _all_or_nothing(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        work(connection)
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether *error* means that the file is damaged."""
    exact = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return exact & 0xFF in _DAMAGED or exact in _DAMAGED_EXACTLY


def is_suspect(path: Path) -> bool:
    """Return whether the database at *path* is suspect: found damaged by a process, or not ours by its header."""
    return is_foreign(path) or (path.exists() and mark_of(path).exists())


def mark_of(path: Path) -> Path:
    """Return the path of the file that marks the database at *path* as suspect."""
    return path.with_name(f"{path.name}.suspect")
