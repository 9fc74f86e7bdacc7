"""The whole log of a step that failed."""

import os
import re
from pathlib import Path

import pytest

from pybuild.builder.display.failed_logs import WholeLog, log_block
from pybuild.builder.progress import StepFinished, StepOutput

_END = StepFinished(step=1, error="no", at=9.0)


def log_of(*pieces: bytes, limit: int = 1000) -> str:
    log = WholeLog(limit)
    for piece in pieces:
        log.feed(StepOutput(step=1, stream=1, data=piece, at=1.5), started=1.0)
    text = log.text(_END, started=1.0)
    log.close()
    return text


def test_it_has_all_lines_with_their_times_and_nothing_that_a_terminal_acts_on() -> None:
    assert log_of(b"a\x1b[2J\nb", b"c\nd\re") == "0.500 a\n0.500 bc\n8.000 e\n"
    assert log_of() == ""
    assert log_block("RUN x", "0.500 a\n") == "------\n > RUN x:\n0.500 a\n------\n"
    assert log_block("COPY x y", "") == ""


def test_of_a_long_one_the_end_is_shown_and_a_file_has_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lines = [b"line %03d\n" % number for number in range(200)]
    first, *rest = log_of(*lines).splitlines()
    told = re.fullmatch(r"\[(\d+) lines before these are in (\S+)\]", first)
    assert told is not None
    assert rest == [f"0.500 line {number:03d}" for number in range(int(told[1]), 200)]
    assert sum(map(len, rest)) <= 1000
    assert Path(told[2]).read_text().splitlines() == [f"0.500 line {number:03d}" for number in range(200)]


def test_a_long_one_of_a_step_that_succeeds_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    log = WholeLog(10)
    log.feed(StepOutput(step=1, stream=1, data=b"line\n" * 100, at=0), started=0)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_costs_the_beginning_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    first, *rest = log_of(*[b"line %03d\n" % number for number in range(200)]).splitlines()
    assert re.fullmatch(r"\[\d+ lines before these are lost: --log-file FILE keeps all of them\]", first)
    assert rest[-1] == "0.500 line 199"


def test_of_the_files_with_long_ones_the_newest_few_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "pybuild-log-mine.txt").mkdir()
    (tmp_path / "build-log-1.txt").touch()
    old = [tmp_path / f"pybuild-log-{number}.txt" for number in range(7)]
    for number, path in enumerate(old):
        path.touch()
        os.utime(path, (number, number))
    log_of(*[b"line %03d\n" % number for number in range(200)])
    left = {path.name for path in tmp_path.iterdir()}
    assert {"pybuild-log-mine.txt", "build-log-1.txt", *(path.name for path in old[3:])} < left
    assert len(left) == 2 + 4 + 1
