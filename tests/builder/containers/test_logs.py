import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.containers.logs import LogRange, full_time, lines, moment_of, parse_time
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
