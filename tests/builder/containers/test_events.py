"""Events are read in order, by time, and as they come."""

import itertools
import os
import threading
import time
from pathlib import Path

import pytest

from pybuild.builder.containers.events import Event, read_events
from pybuild.runtime.monitor import events
from pybuild.runtime.monitor.events import EVENTS, LATEST, append


def note(root: Path, number: int, seconds: float | None = None) -> None:
    at = time.time_ns() if seconds is None else int(seconds * 1e9)
    append(os.fsencode(root), "container", "start", f"{number}", {"image": "box", "name": "c1"}, at)


def numbers(found: list[Event]) -> list[int]:
    return [int(event.identity) for event in found]


def test_those_between_two_times_in_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST", 1500)
    for number in range(12):
        note(tmp_path, number, 100 + number)
    assert (tmp_path / EVENTS / "earlier.log").exists()
    assert numbers([*read_events(tmp_path, 105.5, 109)]) == [6, 7, 8, 9]


def test_a_store_without_a_log_has_none(tmp_path: Path) -> None:
    assert [*read_events(tmp_path, 0, 1)] == []


def test_what_comes_is_told_over_the_change_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST", 2000)
    note(tmp_path, -1)
    reader = read_events(tmp_path, 0, None)
    assert numbers([next(reader)]) == [-1]
    writer = threading.Thread(target=lambda: [(note(tmp_path, number), time.sleep(0.02)) for number in range(50)])
    writer.start()
    found = numbers([*itertools.islice(reader, 50)])
    writer.join()
    assert found == [*range(50)]


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    note(tmp_path, 1, 100)
    with (tmp_path / EVENTS / LATEST).open("ab") as file:
        file.write(b'{"Type":"container"}\n{"Type"')
    assert numbers([*read_events(tmp_path, 0, 200)]) == [1]


def test_a_document_has_the_older_members_too(tmp_path: Path) -> None:
    note(tmp_path, 7, 100)
    (event,) = read_events(tmp_path, 0, 200)
    assert event.document() == {
        "status": "start",
        "id": "7",
        "from": "box",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "7", "Attributes": {"image": "box", "name": "c1"}},
        "scope": "local",
        "time": 100,
        "timeNano": 100_000_000_000,
    }
