"""Connections, and reading the header of the database: that never releases the locks of SQLite."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.connections import CountedConnection, is_foreign
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
    database = Database(path)
    assert database.all("SELECT * FROM selections") == []
    assert is_foreign(path)
