"""The log of events: whole lines, two files at most, and no failure where it cannot be written."""

import json
import os
import threading
from pathlib import Path

import pytest

from pybuild.runtime.monitor import events
from pybuild.runtime.monitor.events import EARLIER, EVENTS, LATEST, append


def note(root: Path, number: int = 0, text: str = "") -> None:
    append(os.fsencode(root), "container", "start", f"id{number}", {"name": text}, 1_500_000_000 + number)


def lines(root: Path, name: str = LATEST) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / EVENTS / name).read_text().splitlines()]


def test_an_event_has_the_members_of_docker(tmp_path: Path) -> None:
    note(tmp_path, text="a\n\x1b\udc80")
    assert lines(tmp_path) == [
        {
            "Type": "container",
            "Action": "start",
            "Actor": {"ID": "id0", "Attributes": {"name": "a\n\x1b\udc80"}},
            "scope": "local",
            "time": 1,
            "timeNano": 1_500_000_000,
        }
    ]


def test_a_full_file_takes_the_place_of_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST", 1000)
    for number in range(30):
        note(tmp_path, number)
    found = [*lines(tmp_path, EARLIER), *lines(tmp_path)]
    assert [event["timeNano"] for event in found] == [1_500_000_000 + n for n in range(30 - len(found), 30)]
    assert all((tmp_path / EVENTS / name).stat().st_size < 1200 for name in (LATEST, EARLIER))


def test_threads_write_whole_lines_while_files_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST", 100_000)
    writers = [threading.Thread(target=lambda: [note(tmp_path, text="x" * 500) for _ in range(100)]) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert all(event["Action"] == "start" for name in (EARLIER, LATEST) for event in lines(tmp_path, name))


def test_a_store_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    note(tmp_path / "nowhere" / "at all")
    (tmp_path / EVENTS).write_text("a file")
    note(tmp_path)
    assert (tmp_path / EVENTS).read_text() == "a file"


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / EVENTS).mkdir()
    (tmp_path / "other").touch()
    (tmp_path / EVENTS / LATEST).symlink_to(tmp_path / "other")
    note(tmp_path)
    assert (tmp_path / "other").read_bytes() == b""
