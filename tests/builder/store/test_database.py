import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from pybuild.builder.errors import StoreError
from pybuild.builder.store.damaged_database import set_aside
from pybuild.builder.store.database import Database, is_suspect

WRITER = """
import sys
from pathlib import Path
from pybuild.builder.store.database import Database
sys.stdin.readline()
database = Database(Path(sys.argv[1]))
for number in range(20):
    database.run("REPLACE INTO selections VALUES (?, ?)", (f"{sys.argv[2]}-{number}", "x"))
database.close()
"""


def put(database, key, value="x"):
    return database.run("REPLACE INTO selections VALUES (?, ?)", (key, value))


def test_what_is_written_is_there_after_opening_again(tmp_path):
    first = Database(tmp_path / "db")
    put(first, "a")
    first.close()
    second = Database(tmp_path / "db")
    assert second.one("SELECT content FROM selections WHERE key = ?", ("a",)) == ("x",)
    second.close()


def test_a_row_that_is_not_there_is_none(database):
    assert database.one("SELECT content FROM selections WHERE key = 'a'") is None
    assert database.all("SELECT * FROM selections") == []


def test_the_last_writer_wins(database):
    put(database, "a", "1")
    put(database, "a", "2")
    assert database.all("SELECT * FROM selections") == [("a", "2")]


def test_several_rows_are_written_all_or_none(database):
    def rows():
        yield ("b", "1")
        raise ZeroDivisionError

    first = "REPLACE INTO selections VALUES (?, ?)"
    with pytest.raises(ZeroDivisionError):
        database.run_all(first, rows(), first=(first, ("a", "1")))
    assert database.all("SELECT * FROM selections") == []
    database.run_all(first, [("b", "1")], first=(first, ("a", "1")))
    assert len(database.all("SELECT * FROM selections")) == 2


def test_threads_share_one_connection(database):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda number: put(database, str(number)), range(40))) == [1] * 40


def test_processes_may_open_and_write_a_new_database_at_the_same_time(tmp_path):
    command = [sys.executable, "-c", WRITER, os.fspath(tmp_path / "db")]
    writers = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[1] for writer in writers] == [""] * 4
    database = Database(tmp_path / "db")
    assert database.one("SELECT count(*) FROM selections") == (80,)
    database.close()


@pytest.mark.parametrize("application", [0, 0x42424242])
def test_one_of_another_program_is_known_by_its_header(tmp_path, application):
    other = sqlite3.connect(tmp_path / "db")
    other.execute("CREATE TABLE moz_places (id INTEGER)")
    other.execute(f"PRAGMA application_id={application}")
    other.close()
    assert is_suspect(tmp_path / "db")


def test_one_of_ours_is_not_suspect_while_it_is_made_or_of_an_older_schema(tmp_path):
    for name in ("new", "old"):
        database = Database(tmp_path / name)
        put(database, "a")
        assert not is_suspect(tmp_path / name)  # the header may still be in the log
        database.close()
        assert not is_suspect(tmp_path / name)
    old = sqlite3.connect(tmp_path / "old")
    old.execute("PRAGMA application_id=0")
    old.execute("PRAGMA user_version=2")
    old.close()
    assert not is_suspect(tmp_path / "old")


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("SELECT * FROM selection", "no such table: selection"),
        ("SELECT colour FROM selections", "no such column: colour"),
    ],
)
def test_a_statement_that_is_wrong_itself_is_told_and_harms_nothing(tmp_path, statement, why):
    database = Database(tmp_path / "db")
    put(database, "a")
    with pytest.raises(RuntimeError, match=f"^{why}, in a new database$"):
        database.all(statement)
    database.close()
    assert set_aside(tmp_path / "db") is None
    assert database.one("SELECT content FROM selections") == ("x",)
    database.close()


def test_a_database_that_another_process_holds_is_waited_for_aloud_and_is_no_damage(tmp_path, database, monkeypatch):
    put(database, "a")
    holder = sqlite3.connect(tmp_path / "db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    said = []
    other = Database(tmp_path / "db")
    other.notice = said.append
    monkeypatch.setattr("pybuild.builder.store.database._PATIENCE", 3.0)
    with pytest.raises(StoreError, match="another process has held the database"):
        put(other, "b")
    assert [text.startswith("waiting for another process") for text in said] == [True]
    holder.execute("ROLLBACK")
    assert put(other, "b") == 1
    other.close()
    holder.close()
    assert not is_suspect(tmp_path / "db")


def test_a_file_system_without_shared_memory_gets_another_journal(tmp_path, monkeypatch):
    real = sqlite3.connect

    class NoSharedMemory(sqlite3.Connection):
        alone = False

        def execute(self, statement, *values):
            self.alone = self.alone or "locking_mode=EXCLUSIVE" in statement
            if "journal_mode=WAL" in statement and not self.alone:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMMAP
                raise error
            return super().execute(statement, *values)

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: real(*args, factory=NoSharedMemory, **more))
    first, second = Database(tmp_path / "db"), Database(tmp_path / "db")
    put(first, "a")
    put(second, "b")
    assert first.one("PRAGMA journal_mode") == ("truncate",)
    assert len(first.all("SELECT * FROM selections")) == 2
    first.close()
    second.close()
