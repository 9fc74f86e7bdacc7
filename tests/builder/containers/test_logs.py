import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.containers.logs import LogRange, batches, full_time, lines, moment_of, parse_time
from pybuild.builder.errors import RequestError
from pybuild.runtime.monitor.log import JsonLog


def written(directory: Path, count: int, files: int = 1, size: int = 0) -> JsonLog:
    log = JsonLog(os.open(directory, os.O_RDONLY), files, size)
    for number in range(count):
        log.write(1 + number % 2, b"%d\n" % number)
    return log


def shown(directory: Path, *, tail: int | None = None, follow: Callable[[], bool] | None = None) -> list[str]:
    return [line.data.decode().strip() for line in lines(directory, LogRange(tail), follow)]


@pytest.mark.parametrize("size", [0, 500])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 6, 7, 50, 100])
def test_the_last_lines_are_found_in_all_files(tmp_path: Path, size: int, count: int) -> None:
    written(tmp_path, 20, files=8 if size else 1, size=size)
    everything = [str(number) for number in range(20)]
    assert shown(tmp_path) == everything
    assert shown(tmp_path, tail=count) == (everything[-count:] if count else [])


def test_bytes_and_damaged_lines(tmp_path: Path) -> None:
    log = written(tmp_path, 0)
    data = bytes(range(256)) * 100 + b"\n"
    log.write(2, data)
    with (tmp_path / "json.log").open("ab") as file:
        file.write(b'{"log":"cut off')
    found = list(lines(tmp_path))
    assert b"".join(line.data for line in found) == data
    assert {line.stream for line in found} == {2}


def test_a_damaged_line_costs_no_other(tmp_path: Path) -> None:
    written(tmp_path, 2)
    with (tmp_path / "json.log").open("ab") as file:
        file.write(b'{"log":"cut off\n{"log":1,"stream":"stdout","time":""}\n[]\n')
    written(tmp_path, 2)
    assert shown(tmp_path) == ["0", "1", "0", "1"]


@pytest.mark.parametrize("size", [0, 200_000])
@pytest.mark.parametrize("since", [-1.0, 0.0, 1.5, 500.0, 2999.0, 2999.5, 5000.0, float("inf"), float("nan")])
def test_lines_since_a_time_and_until_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since: float, size: int
) -> None:
    log = written(tmp_path, 0, files=9, size=size)
    for number in range(3000):
        monkeypatch.setattr(time, "time_ns", lambda number=number: number * 1_000_000_000)
        log.write(1 + number % 2, b"%d %b\n" % (number, b"x" * 300))
    first = next((number for number in range(3000) if number >= since), 0 if since != since else 3000)
    found = [int(line.data.split()[0]) for line in lines(tmp_path, LogRange(since=since, until=2998.5))]
    assert found == [*range(first, 2999)]
    found = [int(line.data.split()[0]) for line in lines(tmp_path, LogRange(tail=20, since=since))]
    assert found == [*range(max(2980, first), 3000)]


def test_a_time_is_found_without_reading_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = written(tmp_path, 0)
    for number in range(100):
        monkeypatch.setattr(time, "time_ns", lambda number=number: number * 1_000_000_000)
        log.write(1, (b"x" * 99 + b"\n") * 500)
    before = read_by_this_thread()
    assert len(list(lines(tmp_path, LogRange(since=98.0)))) == 1000
    assert read_by_this_thread() - before < (tmp_path / "json.log").stat().st_size / 3


@pytest.mark.parametrize("size", [0, 400_000])
def test_no_line_is_missing_after_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    log = written(tmp_path, 0, files=9, size=size)
    clock = [*range(50, 100), *range(40)]
    for now in clock:
        monkeypatch.setattr(time, "time_ns", lambda now=now: now * 1_000_000_000)
        log.write(1, b"%d %b\n" % (now, b"x" * 20_000))
    for since in (0, 30, 60, 99):
        found = [int(line.data.split()[0]) for line in lines(tmp_path, LogRange(since=since)) if line.data[:1] != b"x"]
        assert found == [now for now in clock if now >= since]


def read_by_this_thread() -> int:
    # The count of a process also has what its children read, from the moment when they are waited for.
    return int(Path("/proc/thread-self/io").read_text().split()[1])


def test_joined_lines_are_those_between_two_streams(tmp_path: Path) -> None:
    log = written(tmp_path, 0)
    for stream, data in ((1, b'a"\\\n\xff\n'), (2, b"e\n"), (1, "ü\u2028🐳\n".encode()), (1, b"b\n")):
        log.write(stream, data)
    with (tmp_path / "json.log").open("ab") as file:
        file.write(b'{"log":"cut off')
    found = [(each.stream, each.data) for batch in batches(tmp_path, joined=True) for each in batch]
    assert b"".join(data for stream, data in found if stream == 1) == b'a"\\\n\xff\n' + "ü\u2028🐳\n".encode() + b"b\n"
    assert [data for stream, data in found if stream == 2] == [b"e\n"]


def test_following_goes_through_files_that_took_turns(tmp_path: Path) -> None:
    log = written(tmp_path, 3, files=5, size=300)
    turns = iter(range(3, 12))

    def goes_on() -> bool:
        number = next(turns, None)
        if number is not None:
            log.write(1, b"%d\n" % number)
        return number is not None

    assert shown(tmp_path, follow=goes_on) == [str(number) for number in range(12)]


def test_a_log_that_begins_later_is_followed(tmp_path: Path) -> None:
    turns = iter([1, 2])

    def goes_on() -> bool:
        found = next(turns, None)
        if found == 2:
            written(tmp_path, 2)
        return found is not None

    assert shown(tmp_path, follow=goes_on) == ["0", "1"]


def test_times() -> None:
    assert moment_of("1970-01-01T00:00:01.5Z") == 1.5
    assert full_time("2023-01-01T00:00:00.12Z") == "2023-01-01T00:00:00.120000000Z"
    assert full_time("2023-01-01T00:00:00Z") == "2023-01-01T00:00:00.000000000Z"
    assert parse_time("10m", 1000.0) == 400.0
    assert parse_time("12.5", 0) == 12.5
    assert parse_time("1970-01-01T00:01:00Z", 0) == 60.0
    assert parse_time("1970-01-02T00:00:00+00:00", time.time()) == 86400.0
    with pytest.raises(RequestError):
        parse_time("soon", 0)
