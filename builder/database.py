"""The store's database: one SQLite file in WAL mode, shared by every process that uses the store.

A row that names a blob is written only after the blob is on disk, so a crash can lose rows but never leave one that
lies. Reads and writes are single statements: each is atomic, the last writer wins, and nothing here is ever the only
copy of something that cannot be computed again.
"""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, layers TEXT NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS selections (key TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plans (key TEXT PRIMARY KEY, document TEXT NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS downloads (url TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file_digests (folder TEXT PRIMARY KEY, digests BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layers (diff_id TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layer_paths (
    layer INTEGER, path BLOB, kind TEXT, mode INTEGER, uid INTEGER, gid INTEGER, mtime INTEGER, link BLOB,
    PRIMARY KEY (layer, path)
) WITHOUT ROWID;
"""
_VERSION = 3


class Database:
    """One connection, used by all threads of this process in turn."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        if self._connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")

    def one(self, statement: str, values: Sequence[object] = ()) -> "tuple[Any, ...] | None":
        """Return the first row of a query, None when there is none."""
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(statement, values).fetchone()
            return row

    def all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return every row of a query."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """Carry out one statement; returns how many rows it changed."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def run_all(self, first: str, values: Sequence[object], statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Carry out *first*, then *statement* for each of *rows*, all or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute(first, values)
                self._connection.executemany(statement, rows)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
