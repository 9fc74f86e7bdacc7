"""Connections, and reading the header of the database: that never releases the locks of SQLite."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from pybuild.builder.oci.digest import Digest
from pybuild.builder.store import connections
from pybuild.builder.store.connections import CountedConnection, connect, is_foreign
from pybuild.builder.store.database import Database
from pybuild.builder.store.store import Store

KEY = Digest.of(b"key")
_USE_IT = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute(sys.argv[2]).fetchone()); c.close()"


def asked_by_another_process(path: Path, query: str) -> str:
    done = subprocess.run([sys.executable, "-c", _USE_IT, path, query], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_second_store_of_a_process_takes_no_lock_from_the_first(tmp_path):
    with Store.open(tmp_path / "store") as first:
        first.cache.put_plan(KEY, "before")
        with Store.open(tmp_path / "store") as second:
            path = tmp_path / "store" / "pybuild.db"
            # If the locks were lost, the end of this connection would be that of the last one, and the log be deleted.
            asked_by_another_process(path, "SELECT count(*) FROM plans")
            assert path.with_name("pybuild.db-wal").exists()
            first.cache.put_plan(KEY, "after")
            assert second.cache.plan(KEY) == "after"
            assert asked_by_another_process(path, "SELECT document FROM plans") == "after"


def test_a_file_is_looked_at_again_when_its_connections_are_closed(tmp_path):
    path = tmp_path / "db"
    first, second = (CountedConnection(path, lambda: sqlite3.connect(path)) for _ in range(2))
    first.sqlite.execute("CREATE TABLE others (id INTEGER)")
    assert not is_foreign(path)
    first.close()
    assert not is_foreign(path)
    second.close()
    assert is_foreign(path)


def test_what_is_missing_or_empty_is_not_foreign(tmp_path):
    assert not is_foreign(tmp_path / "db")
    (tmp_path / "db").touch()
    assert not is_foreign(tmp_path / "db")


def test_a_database_in_memory_is_no_use_of_the_file(tmp_path):
    path = tmp_path / "db"
    path.write_bytes(b"something else " * 10)
    with closing(Database(path)) as database:
        assert database.all("SELECT * FROM selections") == []
        assert is_foreign(path)


def test_on_a_full_disk_that_copies_on_write_the_shared_memory_of_the_log_is_not_touched(tmp_path, monkeypatch):
    before, new = (tmp_path / name for name in ("before", "new"))
    opened = CountedConnection(before, lambda: connect(before))
    monkeypatch.setattr(connections, "is_copy_on_write", lambda _directory: True)
    monkeypatch.setattr(connections, "is_short", lambda _directory: True)
    opened.close()
    # The last connection that is closed removes it.
    assert before.with_name("before-shm").exists()
    found = connect(new)
    assert found.execute("SELECT count(*) FROM records").fetchone() == (0,)
    assert not new.with_name("new-shm").exists()
    found.close()


def test_the_last_connection_to_a_store_that_was_removed_is_closed(tmp_path):
    path = tmp_path / "store" / "db"
    path.parent.mkdir()
    opened = CountedConnection(path, lambda: connect(path))
    shutil.rmtree(path.parent)
    opened.close()
