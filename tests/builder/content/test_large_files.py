"""Reading large files without their holes, and several at a time."""

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pybuild.builder.content.large_files import ReadAhead, pieces

if TYPE_CHECKING:
    from concurrent.futures import Future

_MIB = 1 << 20
_LONG = 30.0


def read(path: Path, status: os.stat_result | None = None) -> bytes:
    with path.open("rb") as file:
        return b"".join(bytes(piece) for piece in pieces(file.fileno(), status or os.fstat(file.fileno())))


def test_the_content_of_a_file_is_yielded_in_pieces(tmp_path: Path) -> None:
    content = os.urandom(2 * _MIB + 5)
    (tmp_path / "f").write_bytes(content)
    assert read(tmp_path / "f") == content


def test_holes_are_zeros_and_the_end_may_be_one(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(3 * _MIB)
        file.write(b"data")
        file.truncate(5 * _MIB)
    assert path.stat().st_blocks * 512 < 5 * _MIB, "this file system makes holes"
    assert read(path) == bytes(3 * _MIB) + b"data" + bytes(2 * _MIB - 4)


def test_a_file_that_has_grown_has_one_byte_more_than_its_status_says(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    before = path.stat()
    with path.open("ab") as file:
        file.write(b"678")
    assert read(path, before) == b"123456"


def test_a_file_that_was_truncated_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    before = path.stat()
    path.write_bytes(b"12")
    assert read(path, before) == b"12"


def test_calls_run_ahead_and_their_exceptions_are_raised_when_they_are_waited_for() -> None:
    def fail() -> None:
        raise ValueError("no")

    with ReadAhead() as threads:
        result, failure = threads.begin(pow, 2, 5), threads.begin(fail)
        assert result() == 32
        with pytest.raises(ValueError, match="no"):
            failure()


def test_calls_that_have_not_started_are_dropped_at_the_end() -> None:
    release, done = threading.Event(), []

    def wait() -> None:
        assert release.wait(_LONG)
        done.append(1)

    def release_the_rest(last: "Future[None]") -> None:
        deadline = time.monotonic() + _LONG
        while not last.cancelled() and time.monotonic() < deadline:
            time.sleep(0.001)
        release.set()

    with ReadAhead() as threads:
        calls = [threads.begin(wait) for _ in range(50)]
        last = calls[-1].__self__  # type: ignore[attr-defined] # a method of its future
        watcher = threading.Thread(target=release_the_rest, args=(last,))
        watcher.start()
    watcher.join(_LONG)
    assert last.cancelled()
    assert len(done) < 50
