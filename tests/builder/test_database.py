import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from builder.database import Database

WRITER = """
import sys
from pathlib import Path
from builder.database import Database
sys.stdin.readline()
database = Database(Path(sys.argv[1]))
for number in range(20):
    database.run("REPLACE INTO selections VALUES (?, ?)", (f"{sys.argv[2]}-{number}", "x"))
database.close()
"""


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "db")
    yield opened
    opened.close()


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
        database.run_all(first, ("a", "1"), first, rows())
    assert database.all("SELECT * FROM selections") == []
    database.run_all(first, ("a", "1"), first, [("b", "1")])
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
