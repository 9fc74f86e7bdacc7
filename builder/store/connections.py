"""Ways to open the file of the store's database, as its disk permits."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from pybuild.builder.store.room import is_short
from pybuild.builder.store.schema import check_owner, make, migrate

SAY_AFTER = 2.0
"""Seconds that SQLite itself waits for another process."""
_ALONE = "PRAGMA locking_mode=EXCLUSIVE"
"""Without others SQLite keeps the index of its log in its own memory."""


def connect(path: Path, *settings: str) -> sqlite3.Connection:
    """Open the database at *path*, which is made when it is missing, with more *settings*.

    Raises:
        sqlite3.Error, ForeignDatabase, StoreError: see `builder.store.schema.migrate` for the latter two.
    """
    if not os.access(path.parent, os.W_OK):
        return _read_only(path)
    try:
        return _prepared(path, "PRAGMA journal_mode=WAL", *settings)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
            raise
        return _with_less(path)


def _with_less(path: Path) -> sqlite3.Connection:
    """Open the database without shared memory, which a full disk and some file systems do not give."""
    if not is_short(path.parent):
        return _prepared(path, _ALONE, "PRAGMA journal_mode=TRUNCATE")
    try:
        return _prepared(path, _ALONE)
    except sqlite3.OperationalError:
        # Not even a name for the log is left.
        return _read_only(path)


def in_memory() -> sqlite3.Connection:
    """Return an empty database that nobody else sees."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    make(connection)
    return connection


def _prepared(path: Path, *settings: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=SAY_AFTER, isolation_level=None, check_same_thread=False)
    try:
        if _ALONE in settings:
            connection.execute(_ALONE)
        # Before anything is changed: the file may be somebody else's.
        check_owner(connection, path)
        for setting in (*settings, "PRAGMA synchronous=NORMAL"):
            connection.execute(setting)
        migrate(connection, path)
        if "PRAGMA journal_mode=TRUNCATE" in settings:
            connection.execute("PRAGMA locking_mode=NORMAL")
            connection.execute("SELECT count(*) FROM records")  # only a query gives the lock back
    except BaseException:
        with suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _read_only(path: Path) -> sqlite3.Connection:
    """Open the database of a store that cannot be written; without one it counts as empty."""
    if not path.exists():
        return in_memory()
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        # Without the log, which a killed builder left, the file may be half written.
        return _copied(path, log)
    address = f"file:{quote(os.fspath(path))}?immutable=1"
    found = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        migrate(found, path)
    except sqlite3.OperationalError:
        # Of an older schema, which cannot be migrated where it is.
        found.close()
        return _copied(path)
    except BaseException:
        found.close()
        raise
    return found


def _copied(*files: Path) -> sqlite3.Connection:
    """Return a database in memory with the content of the one that *files* make up."""
    import shutil

    from pybuild.runtime.paths.scratch import temporary

    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with temporary() as folder:
        copies = [Path(shutil.copyfile(file, folder / file.name)) for file in files]
        with closing(_prepared(copies[0])) as found:
            found.backup(memory)
    return memory
