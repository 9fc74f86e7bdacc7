"""Reading the log of a container: all lines, the last ones, those between two times, and new lines as they come."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.errors import RequestError
from pybuild.grammar.parse_go import parse_duration
from pybuild.runtime.monitor.log import LOG
from pybuild.runtime.monitor.log_entries import LogLine, Times, read_entries, time_of
from pybuild.runtime.monitor.state import timestamp
from pybuild.runtime.values import positional

_BUFFER = 8192
"""Bytes. Python 3.14 reads 131072 by default, which is too much where a line is looked for at many places."""
_BLOCK = 1 << 16
_MOST_PLACES = 64  # of a file at which a time is looked for, a block apart or more
_PAUSE = 0.05
_LATEST = 253402300799.0
"""The last second of the year 9999."""


@positional
class LogRange:
    """The part of a log: its last *tail* lines, between the times *since* and *until*."""

    tail: int | None = None
    since: float | None = None
    until: float | None = None

    def times(self) -> Times:
        """Return the times of the range as a log has them."""
        given = {"since": self.since, "until": self.until}
        return Times(**{name: _text_of(moment) for name, moment in given.items() if moment is not None})


EVERYTHING = LogRange()


def lines(
    directory: Path, wanted: LogRange = EVERYTHING, follow: Callable[[], bool] | None = None
) -> Iterator[LogLine]:
    """Yield the *wanted* output of the container in *directory*.

    With *follow* the iterator waits for new lines as long as the function returns True.
    """
    for batch in batches(directory, wanted, follow):
        yield from batch


def batches(
    directory: Path,
    wanted: LogRange = EVERYTHING,
    follow: Callable[[], bool] | None = None,
    *,
    joined: bool = False,
) -> Iterator[list[LogLine]]:
    """Yield the same as `lines` in lists: each has the lines that could be read at once, so that none is delayed.

    With *joined*, which is quicker, lines of the same stream are one.
    """
    files, times = _open_files(directory), wanted.times()
    start = max(_place_of_last(files, wanted.tail), _place_of_time(files, times.since))
    for number, file in enumerate(files):
        with file:
            if number < start[0]:
                continue
            file.seek(start[1] if number == start[0] else 0)
            last = number == len(files) - 1
            for raw in _followed(file, directory, follow) if last and follow else _blocks(file):
                yield read_entries(raw, times, joined=joined)
                if (time_of(raw[-1]) or "") > times.until:
                    return
    if not files and follow:
        yield from _from_nothing(directory, follow, joined=joined)


def _from_nothing(directory: Path, follow: Callable[[], bool], *, joined: bool) -> Iterator[list[LogLine]]:
    while follow():
        if (directory / LOG).exists():
            yield from batches(directory, EVERYTHING, follow, joined=joined)
            return
        time.sleep(_PAUSE)


def _open_files(directory: Path) -> list[BinaryIO]:
    """Open the files of the log, the oldest first. An open file keeps its content when the log is rotated."""
    opened: list[BinaryIO] = []
    number = 0
    while True:
        try:
            opened.append((directory / (f"{LOG}.{number}" if number else LOG)).open("rb", buffering=_BUFFER))
        except FileNotFoundError:
            return opened[::-1]
        number += 1


def _place_of_last(files: list[BinaryIO], count: int | None) -> tuple[int, int]:
    """Return where the last *count* lines begin: the index of the file, and the position in it. None is all."""
    if count is None:
        return 0, 0
    for number in range(len(files) - 1, -1, -1):
        file = files[number]
        end = at = file.seek(0, os.SEEK_END)
        if count == 0:
            return number, at
        while at > 0:
            size = min(_BLOCK, at)
            file.seek(at - size)
            block = file.read(size)
            # The newline at the very end belongs to the last line.
            place = size if at < end else size - 1
            while (place := block.rfind(b"\n", 0, place)) >= 0:
                count -= 1
                if count == 0:
                    return number, at - size + place + 1
            at -= size
        count -= 1 if end else 0
        if count == 0:
            return number, 0
    return 0, 0


def _place_of_time(files: list[BinaryIO], since: str) -> tuple[int, int]:
    """Return where reading for lines since this time begins: little of what is earlier is read.

    Places are tried in their order and not by bisection, since times do not grow where the clock was set back.
    """
    places = [(number, at) for number, file in enumerate(files) for at in _places(file)] if since else []
    if not places:
        return 0, 0
    number, at = next(
        (before for before, (number, at) in pairwise(places) if _time_after(files[number], at) >= since), places[-1]
    )
    files[number].seek(at)
    return number, at + len(files[number].readline()) if at else 0


def _places(file: BinaryIO) -> range:
    size = file.seek(0, os.SEEK_END)
    return range(0, size, max(_BLOCK, size // _MOST_PLACES))


def _time_after(file: BinaryIO, place: int) -> str:
    """Return the time of the first entry that begins after *place*; at the end one that is later than all."""
    file.seek(place)
    if place:
        file.readline()
    return next((found for line in file if (found := time_of(line))), Times().until)


def _blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    """Yield the rest of *file* in lists of lines of about `_BLOCK` bytes."""
    return iter(lambda: file.readlines(_BLOCK), [])


def _followed(file: BinaryIO, directory: Path, follow: Callable[[], bool]) -> Iterator[list[bytes]]:
    """Yield the lines of *file*, and of the files that follow it when the log is rotated, as they are written.

    The files are closed. Lines that were written before *follow* returned False are yielded, too.
    """
    rest = b""
    while True:
        goes_on = follow()
        for block in _blocks(file):
            block[0] = rest + block[0]
            rest = b"" if block[-1].endswith(b"\n") else block.pop()
            yield block
        later = _later(file, directory)
        if later is not None:
            file.close()
            file = later
        elif not goes_on:
            file.close()
            return
        else:
            time.sleep(_PAUSE)


def _later(file: BinaryIO, directory: Path) -> BinaryIO | None:
    """Return the next file of a rotated log; None while *file* is the latest one or is not read to its end."""
    opened = _open_files(directory)
    own = os.fstat(file.fileno())
    places = [number for number, each in enumerate(opened) if os.path.samestat(os.fstat(each.fileno()), own)]
    # A file that was rotated too often is deleted. Then the oldest one that is left comes next.
    wanted = places[0] + 1 if places else 0
    found = opened[wanted] if wanted < len(opened) and file.tell() >= own.st_size else None
    for each in opened:
        if each is not found:
            each.close()
    return found


def moment_of(text: str) -> float:
    """Return a time of RFC 3339 in seconds since 1970."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return seconds + (float(f"0.{fraction}") if fraction else 0.0)


def _text_of(moment: float) -> str:
    return timestamp(int(min(max(0.0, moment), _LATEST) * 1_000_000_000)).removesuffix("Z")


def full_time(text: str) -> str:
    """Return a time of the log with nine digits of its second, as ``logs -t`` shows it."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"


def parse_time(text: str, now: float) -> float:
    """Parse ``--since``: seconds since 1970, a time, or a duration before *now*. Raises RequestError."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return now - parse_duration(text) / 1_000_000_000
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            f"invalid time {text!r}", hint="write it as 10m, 2023-01-31T20:00:00 or 1700000000"
        ) from error
    return found.timestamp()
