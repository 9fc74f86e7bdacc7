import sqlite3

import pytest

from pybuild.builder.store.damaged_database import set_aside
from pybuild.builder.store.database import Database, is_suspect
from pybuild.builder.store.locks import Locks
from pybuild.builder.store.store import open_store
from tests.builder.store.test_database import put

FOREIGN = {
    "text": b"these are notes of somebody\n" * 50,
    "of another program": None,
    "cut off": None,
    "overwritten in the middle": None,
}


def spoil(path, kind):
    """Make a database in *path* and spoil it; "text" is no database at all."""
    if FOREIGN[kind] is not None:
        path.write_bytes(FOREIGN[kind])
        return
    if kind == "of another program":
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE moz_places (id INTEGER)")
        other.close()
        return
    database = Database(path)
    database.run_all("REPLACE INTO selections VALUES (?, ?)", [(str(n), "x" * 500) for n in range(200)])
    database.close()
    content = path.read_bytes()
    middle = content[:4096] + b"\xff" * (len(content) - 8192) + content[-4096:]
    path.write_bytes(content[:20000] if kind == "cut off" else middle)


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_damaged_or_foreign_is_done_without_and_then_set_aside(tmp_path, kind):
    path = tmp_path / "db"
    spoil(path, kind)
    before = path.read_bytes()
    database = Database(path)
    said = []
    database.notice = said.append
    assert database.all("SELECT * FROM selections") == []
    put(database, "a")
    assert database.one("SELECT content FROM selections WHERE key = 'a'") == ("x",)
    database.close()
    assert [str(path) in text for text in said] == [True]
    assert is_suspect(path)
    target = set_aside(path)
    assert target.read_bytes() == before
    assert not is_suspect(path)
    again = Database(path)
    put(again, "b")
    again.close()
    assert set_aside(path) is None


def test_a_store_sets_a_damaged_database_aside_only_when_nobody_else_uses_it(tmp_path):
    open_store(tmp_path / "store").close()
    path = tmp_path / "store" / "pybuild.db"
    path.write_bytes(b"no database")
    with Locks(tmp_path / "store" / "locks").shared("gc"):
        open_store(tmp_path / "store").close()
        assert path.read_bytes() == b"no database"
    opened = open_store(tmp_path / "store")
    said = []
    opened.hear(said.append)
    put(opened.database, "a")
    opened.close()
    assert path.read_bytes().startswith(b"SQLite")
    assert len(said) == 1
    assert "and replaced" in said[0]


def test_a_sound_database_under_suspicion_stays(tmp_path):
    database = Database(tmp_path / "db")
    put(database, "a")
    (tmp_path / "db.suspect").touch()
    assert set_aside(tmp_path / "db") is None
    assert not (tmp_path / "db.suspect").exists()
    assert database.one("SELECT content FROM selections") == ("x",)
    database.close()
