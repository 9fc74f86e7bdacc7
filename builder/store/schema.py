"""The tables of the database, and the migration of a database of another version of pybuild.

The header of the file has the program (``application_id``) and the schema (``user_version``). Of an older schema,
tables whose rows have the same form are kept and the others become empty, in one transaction. A newer schema is an
error, because the meaning of its rows is unknown.
"""

import sqlite3
from pathlib import Path

from pybuild.builder.errors import StoreError

VERSION = 5
APPLICATION = 0x70796264
"""``pybd``, in the header of every database since schema 4."""
_TABLES = {
    "records": (1, "key TEXT PRIMARY KEY, layers TEXT NOT NULL, used REAL NOT NULL"),
    "layer_lists": (5, "id TEXT PRIMARY KEY, below TEXT NOT NULL, layers TEXT NOT NULL"),
    "selections": (1, "key TEXT PRIMARY KEY, content TEXT NOT NULL"),
    "plans": (1, "key TEXT PRIMARY KEY, document TEXT NOT NULL, used REAL NOT NULL"),
    "downloads": (2, "url TEXT PRIMARY KEY, document TEXT NOT NULL"),
    # The first column keeps its old name: another one would be a newer schema, which earlier versions refuse.
    "file_digests": (1, "folder TEXT PRIMARY KEY, digests BLOB NOT NULL"),
    "layers": (3, "diff_id TEXT PRIMARY KEY, number INTEGER NOT NULL"),
    "layer_paths": (
        3,
        """layer INTEGER, path BLOB, kind TEXT, mode INTEGER, uid INTEGER, gid INTEGER, mtime INTEGER, link BLOB,
        PRIMARY KEY (layer, path)""",
    ),
    "written_by": (4, "program TEXT PRIMARY KEY, version TEXT NOT NULL"),
}
"""Each table with the schema since which its rows have their form, and its columns."""


CACHES = tuple(name for name in _TABLES if name != "written_by")
"""The tables that can be emptied."""


class ForeignDatabase(Exception):
    """The file is a database of another program."""


def check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ForeignDatabase or StoreError for a database that must not be changed, like `migrate`."""
    application, version = _found(connection)
    if (application, version) != (APPLICATION, VERSION):
        _check(connection, path, application, version)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Migrate a database that was just opened to this schema.

    Raises:
        ForeignDatabase: it belongs to another program.
        StoreError: it belongs to a newer version of pybuild.
    """
    if _found(connection) == (APPLICATION, VERSION):
        return
    # Immediate: a transaction that begins as a reader fails when another process writes before its first change.
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Checked again: another process may have migrated it while this one waited.
        application, version = _found(connection)
        if (application, version) != (APPLICATION, VERSION):
            _check(connection, path, application, version)
            _make_tables(connection, version)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def make(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty database of this process."""
    _make_tables(connection, 0)


def _found(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _check(connection: sqlite3.Connection, path: Path, application: int, version: int) -> None:
    """Refuse a database of another program or of a newer schema."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    unknown = tables and "records" not in tables
    if application not in {0, APPLICATION} or unknown or (application == 0 and version and not tables):
        raise ForeignDatabase
    if version > VERSION:
        raise StoreError(
            f"{path}: a newer pybuild made this store{_writer(connection, tables)}: its schema is {version}, "
            f"and this pybuild knows {VERSION}",
            hint="use the newer pybuild, or another store with --root",
        )


def _writer(connection: sqlite3.Connection, tables: set[str]) -> str:
    if "written_by" not in tables:
        return ""
    row = connection.execute("SELECT version FROM written_by WHERE program = 'pybuild'").fetchone()
    return "" if row is None else f" (version {row[0]})"


def _make_tables(connection: sqlite3.Connection, version: int) -> None:
    for name, (since, columns) in _TABLES.items():
        if version < since:
            connection.execute(f"DROP TABLE IF EXISTS {name}")
        # With row ids, a key of text would be a second B-tree beside that of the rows.
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) WITHOUT ROWID")
    connection.execute("REPLACE INTO written_by VALUES ('pybuild', ?)", (_own_version(),))
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def _own_version() -> str:
    # Imported here: importlib.metadata takes longer than a whole build from the cache.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pybuild")
    except PackageNotFoundError:
        return "unknown"
