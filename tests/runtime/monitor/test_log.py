"""The log: Docker's format, every byte, lines cut where Docker cuts them, files that take turns."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.runtime.monitor.log import LONGEST, JsonLog
from pybuild.runtime.monitor.state import timestamp


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def entries(path: Path) -> list[tuple[str, str]]:
    return [(entry["stream"], entry["log"]) for entry in map(json.loads, path.read_text().splitlines())]


def test_a_line_waits_for_its_end(directory: int, tmp_path: Path) -> None:
    log = JsonLog(directory, 1, 0)
    log.write(1, b"a\nb")
    log.write(2, b"e\n")
    assert entries(tmp_path / "json.log") == [("stdout", "a\n"), ("stderr", "e\n")]
    log.write(1, b"c\n\n")
    log.write(1, b"no end")
    log.end()
    log.end()
    assert entries(tmp_path / "json.log")[2:] == [("stdout", "bc\n"), ("stdout", "\n"), ("stdout", "no end")]


def test_long_lines_are_cut_and_only_the_last_piece_ends_one(directory: int, tmp_path: Path) -> None:
    log = JsonLog(directory, 1, 0)
    line = b"x" * (2 * LONGEST + 5)
    for at in range(0, len(line), 1000):
        log.write(1, line[at : at + 1000])
    log.write(1, b"\n")
    found = [text for _, text in entries(tmp_path / "json.log")]
    assert [len(text) for text in found] == [LONGEST, LONGEST, 6]
    assert "".join(found) == line.decode() + "\n"


def test_bytes_that_are_no_text_are_all_there(directory: int, tmp_path: Path) -> None:
    log = JsonLog(directory, 1, 0)
    data = bytes(range(256)) * 300 + "é\u2028<&\n".encode()
    for at in range(0, len(data), 7001):
        log.write(1, data[at : at + 7001])
    assert "".join(text for _, text in entries(tmp_path / "json.log")).encode("utf-8", "surrogateescape") == data
    assert (tmp_path / "json.log").read_bytes().isascii()


def test_files_take_turns(directory: int, tmp_path: Path) -> None:
    log = JsonLog(directory, 3, 400)
    for number in range(20):
        log.write(1, b"%d\n" % number)
    kept = [text for name in ("json.log.2", "json.log.1", "json.log") for _, text in entries(tmp_path / name)]
    assert kept == [f"{number}\n" for number in range(20 - len(kept), 20)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["json.log", "json.log.1", "json.log.2"]
    assert all(path.stat().st_size <= 400 for path in tmp_path.iterdir())
    one = JsonLog(directory, 1, 100)
    one.write(1, b"x\n" * 2)
    one.write(1, b"y\n")
    assert entries(tmp_path / "json.log") == [("stdout", "y\n")]


def test_nothing_is_kept_of_a_log_without_files(directory: int, tmp_path: Path) -> None:
    log = JsonLog(directory, 0, 0)
    log.write(1, b"x\n")
    log.end()
    assert list(tmp_path.iterdir()) == []


def test_times_are_those_of_go() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00Z"
    assert timestamp(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
    assert timestamp(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"
