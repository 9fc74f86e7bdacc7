import sqlite3
from pathlib import Path

import pytest

from pybuild.builder.errors import StoreError
from pybuild.builder.store.database import Database
from pybuild.builder.store.schema import APPLICATION, VERSION

OLD = """
CREATE TABLE records (key TEXT PRIMARY KEY, layers TEXT NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE selections (key TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE layers (diff_id TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE layer_paths (
    layer INTEGER, path BLOB, kind TEXT, mode INTEGER, uid INTEGER, gid INTEGER, mtime INTEGER, link BLOB,
    PRIMARY KEY (layer, path)
) WITHOUT ROWID;
INSERT INTO records VALUES ('key', '[]', 0);
INSERT INTO selections VALUES ('key', 'content');
INSERT INTO layers VALUES ('diff', 7);
INSERT INTO layer_paths VALUES (7, 'gone', 'whiteout', 0, 0, 0, 0, '');
"""


def made(path: Path, script: str) -> Database:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return Database(path)


def counts(database: Database) -> list[int]:
    tables = ("records", "selections", "layers", "layer_paths", "downloads")
    return [database.all(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


@pytest.mark.parametrize(("version", "kept"), [(1, [1, 1, 0, 0, 0]), (2, [1, 1, 0, 0, 0]), (3, [1, 1, 1, 1, 0])])
def test_tables_whose_rows_kept_their_form_keep_them(tmp_path: Path, version: int, kept: list[int]) -> None:
    database = made(tmp_path / "db", f"{OLD} PRAGMA user_version={version};")
    assert counts(database) == kept
    assert database.one("PRAGMA user_version") == (VERSION,)
    database.close()
    again = Database(tmp_path / "db")
    assert counts(again) == kept
    again.close()


def test_a_store_of_the_schema_before_keeps_all_and_gets_lists_of_layers(tmp_path: Path) -> None:
    pragmas = f"PRAGMA user_version=4; PRAGMA application_id={APPLICATION};"
    database = made(tmp_path / "db", f"{OLD} {pragmas}")
    assert counts(database) == [1, 1, 1, 1, 0]
    assert database.all("SELECT * FROM layer_lists") == []
    assert database.one("PRAGMA user_version") == (VERSION,)
    database.close()


def test_a_migration_that_is_cut_off_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed() -> str:
        raise KeyboardInterrupt

    database = made(tmp_path / "db", f"{OLD} PRAGMA user_version=2;")
    monkeypatch.setattr("pybuild.builder.store.schema._own_version", killed)
    with pytest.raises(KeyboardInterrupt):
        counts(database)
    database.close()
    found = sqlite3.connect(tmp_path / "db")
    assert found.execute("PRAGMA user_version").fetchone() == (2,)
    assert found.execute("SELECT count(*) FROM layer_paths").fetchone() == (1,)
    found.close()


def test_a_newer_schema_is_refused_with_who_wrote_it(tmp_path: Path) -> None:
    first = Database(tmp_path / "db")
    first.run("REPLACE INTO written_by VALUES ('pybuild', '9.1')")
    first.run(f"PRAGMA user_version={VERSION + 1}")
    first.close()
    with pytest.raises(StoreError, match=rf"newer pybuild .*\(version 9\.1\): its schema is {VERSION + 1}"):
        Database(tmp_path / "db").all("SELECT * FROM records")
    assert not (tmp_path / "db.suspect").exists()
