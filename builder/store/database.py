"""The store's database: one SQLite file in WAL mode, shared by every process that uses the store.

A row that names a blob is written only after the blob is on disk, so a crash can lose rows but never leave one that
lies. Reads and writes are single statements: each is atomic, the last writer wins, and nothing here is ever the only
copy of something that cannot be computed again. Therefore a file that is damaged, or no database of ours, is no
failure: this process goes on with an empty database in memory, and who has the store alone next sets the file aside
(`set_aside`). No error of SQLite leaves this module: what cannot be helped is a StoreError, a wrong statement a bug.

The file is opened when something is first asked: most commands ask nothing.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pybuild.builder.errors import StoreError
from pybuild.builder.store.connections import SAY_AFTER, connect, in_memory
from pybuild.builder.store.room import is_short, no_room, not_writable
from pybuild.builder.store.schema import CACHES, ForeignDatabase

_R = TypeVar("_R")
_PATIENCE = 60.0
"""Seconds that a writer may hold the database: no transaction of ours takes one."""
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DAMAGED_EXACTLY = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
_PERHAPS_FULL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_TABLE_MISSING = ("no such table", "no such column")
_SMALL_LOG = ("PRAGMA wal_autocheckpoint=16",)
_MAGIC = b"SQLite format 3\0"


def _ignore(_text: str) -> None:
    """Nobody wants to hear it."""


class Database:
    """One connection, used by all threads of this process in turn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_made_anew = False
        self._settings: tuple[str, ...] = ()
        self._ended = False
        self.notice: Callable[[str], None] = _ignore
        """Takes what a user should know: that somebody is waited for, that the file is damaged."""
        self.make_room: Callable[[], bool] = lambda: False
        """Makes room on a full disk, once; set by who is about to free space (`builder.store.store`)."""

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
        """Carry out one statement; returns how many rows it changed."""
        return self._do(lambda connection: connection.execute(statement, values).rowcount)

    def run_all(self, first: str, values: Sequence[object], statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Carry out *first*, then *statement* for each of *rows*, all or nothing."""
        kept = list(rows)

        def both(connection: sqlite3.Connection) -> None:
            if first:
                connection.execute(first, values)
            connection.executemany(statement, kept)

        self._do(lambda connection: _all_or_nothing(connection, both))

    def check(self) -> None:
        """Open the database: one that cannot be used is refused before anything else of the store is changed."""
        self.one("SELECT 1")

    def save_space(self) -> None:
        """Write the log back as soon as it has some pages, so that it stays small."""
        self._settings = _SMALL_LOG
        self.close()

    def clear(self) -> None:
        """Forget everything. The caller has the store alone: on a disk too full to write that down, the file goes."""
        try:
            for table in CACHES:
                self.run(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        except StoreError:
            if not is_short(self._path.parent):
                raise
            self.close()
            for suffix in ("-wal", "-shm", ""):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            # A new file would want the space that is only about to be freed.
            with self._lock:
                self._go_on_in_memory()

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
        """Return what *work* makes of the connection, after as many attempts as its failures are worth."""
        began = time.monotonic()
        with self._lock:
            self.refuse_ended()
            while True:
                try:
                    if self._connection is None:
                        self._connection = connect(self._path, *self._settings)
                    return work(self._connection)
                except ForeignDatabase:
                    self._replace("is no database of pybuild")
                except sqlite3.Error as error:
                    self._overcome(error, began)

    def _overcome(self, error: sqlite3.Error, began: float) -> None:
        """Do what makes another attempt worth while.

        Raises:
            StoreError: nothing does.
            RuntimeError: the statement itself is wrong: it does not suit tables that were just made.
        """
        exact = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        code = exact & 0xFF
        if self._is_made_anew and code == sqlite3.SQLITE_ERROR:
            raise RuntimeError(f"{error}, in a new database") from error
        missing = code == sqlite3.SQLITE_ERROR and str(error).startswith(_TABLE_MISSING)
        if code in _DAMAGED or exact in _DAMAGED_EXACTLY or missing:
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
            raise StoreError(f"{self._path}: {error}", hint="see the kernel's log; another store: --root") from error

    def _wait(self, began: float) -> None:
        waited = time.monotonic() - began
        if waited > _PATIENCE:
            raise StoreError(
                f"{self._path}: another process has held the database for {_PATIENCE:.0f} seconds",
                hint="a program that is not pybuild may have it open",
            )
        if waited < 2 * SAY_AFTER:
            self.notice(f"waiting for another process that holds {self._path}")

    def _replace(self, what: str) -> None:
        """Go on without the file, and leave word that it is to be set aside."""
        self._drop_connection()
        self._go_on_in_memory()
        try:
            _mark(self._path).touch(mode=0o600)
        except OSError:
            self.notice(f"{self._path} {what}: this command does without it")
            return
        self.notice(f"{self._path} {what}: this command does without it, the next one sets it aside")

    def _go_on_in_memory(self) -> None:
        self._connection = in_memory()
        self._is_made_anew = True

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        self._is_made_anew = False
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                # The log could not be written back; whoever opens the file next does it.
                return


def _all_or_nothing(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        work(connection)
        connection.execute("COMMIT")
    except BaseException:
        # After some failures SQLite has rolled back itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_suspect(path: Path) -> bool:
    """Tell whether the database at *path* should be set aside: it is no SQLite file, or somebody found it damaged."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except FileNotFoundError:
        return False
    return head not in {b"", _MAGIC} or _mark(path).exists()


def set_aside(path: Path) -> Path | None:
    """Rename a suspect database, so that a new one is made; return its new name, None when it turned out to be sound.

    The caller has the store alone.
    """
    if not is_suspect(path) or _is_sound(path):
        _mark(path).unlink(missing_ok=True)
        return None
    target = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    # The log first: one that was left beside a new database would be taken for its own.
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(target.with_name(target.name + suffix))
    path.rename(target)
    _mark(path).unlink(missing_ok=True)
    return target


def _is_sound(path: Path) -> bool:
    """Tell whether SQLite finds nothing wrong. "Locked" and "disk full" are no damage."""
    connection = None
    try:
        connection = connect(path)
        rows = connection.execute("PRAGMA quick_check(1)").fetchall()
    except ForeignDatabase:
        return False
    except StoreError:
        return True
    except sqlite3.Error as error:
        exact = getattr(error, "sqlite_errorcode", 0)
        return exact & 0xFF not in _DAMAGED and exact not in _DAMAGED_EXACTLY
    finally:
        if connection is not None:
            connection.close()
    return rows == [("ok",)]


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
