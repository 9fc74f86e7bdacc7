"""The entries of a log: what its JSON says of each line, read many at a time."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from pybuild.runtime.values import positional

_STREAMS = {"stdout": 1, "stderr": 2}
_BEGIN = '{"log":"'
# What is between the texts of two entries. It cannot be in a text, where a quote has a backslash before it.
_BETWEEN = re.compile(r'","stream":"(stdout|stderr)","time":"([^"]*)Z"\}\n(?:\{"log":")?')
_TIME = re.compile(rb'","time":"([^"]*)Z"\}\n\Z')
_Entry = tuple[str, str, str]
"""A text as JSON without the quotes around it, the name of its stream, and its time without the Z at its end."""


@positional
class LogLine:
    """A line, or a part of a long one, with its newline if it has one. *stream* is 1 or 2, *time* in RFC 3339.

    Joined lines are several ones of the same stream, with the time of the first.
    """

    stream: int
    data: bytes
    time: str


@positional
class Times:
    """The times between which lines are wanted, by RFC 3339, without zeros and the Z at their end.

    Such texts have the order of the times.
    """

    since: str = ""
    until: str = "~"


def read_entries(block: list[bytes], wanted: Times, *, joined: bool) -> list[LogLine]:
    """Return the *wanted* lines of a block, without those that a full disk truncated.

    With *joined* the lines between two changes of the stream are one.
    """
    try:
        return _lines(_wanted(_entries(b"".join(block)), wanted), joined=joined)
    except ValueError:
        return [] if len(block) == 1 else [line for raw in block for line in read_entries([raw], wanted, joined=joined)]


def time_of(entry: bytes) -> str | None:
    """Return the time of an entry, without the Z at its end; None for a truncated one."""
    found = _TIME.search(entry)
    return found[1].decode(errors="replace") if found else None


def _entries(block: bytes) -> Iterable[_Entry]:
    """Return the entries of *block*. Raises ValueError unless all are complete."""
    parts = _BETWEEN.split(block.decode("ascii"))
    if not parts[0].startswith(_BEGIN) or parts[-1]:
        raise ValueError("not a log")
    parts[0] = parts[0].removeprefix(_BEGIN)
    return zip(parts[:-1:3], parts[1::3], parts[2::3], strict=True)


def _wanted(entries: Iterable[_Entry], wanted: Times) -> Iterable[_Entry]:
    if wanted == Times():
        return entries
    return [entry for entry in entries if wanted.since <= entry[2] <= wanted.until]


def _lines(entries: Iterable[_Entry], *, joined: bool) -> list[LogLine]:
    """Decode *entries*. Raises ValueError when one has a text that is not of JSON."""
    chosen = list(_join(entries) if joined else entries)
    # All texts are decoded as one document: decoding each alone takes twice as long.
    texts = json.loads('["' + '","'.join(entry[0] for entry in chosen) + '"]') if chosen else []
    return [
        LogLine(_STREAMS[stream], text.encode("utf-8", "surrogateescape"), f"{moment}Z")
        for text, (_, stream, moment) in zip(texts, chosen, strict=True)
    ]


def _join(entries: Iterable[_Entry]) -> Iterator[_Entry]:
    for stream, group in groupby(entries, key=itemgetter(1)):
        first, *rest = group
        yield "".join((first[0], *(entry[0] for entry in rest))), stream, first[2]
