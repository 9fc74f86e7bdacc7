"""Events of containers, volumes, networks and images: written by the process that causes them, read by ``events``."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from pybuild.builder.containers.config import Config
from pybuild.runtime.monitor.events import EARLIER, EVENTS, LATEST, append
from pybuild.runtime.values import frozen

CONTAINER, VOLUME, IMAGE = "container", "volume", "image"
_PAUSE = 0.1


@frozen
class Event:
    """An event: *action* happened to the object *identity* of the type *kind*, at a time in nanoseconds since 1970."""

    kind: str
    action: str
    identity: str
    attributes: tuple[tuple[str, str], ...]
    nanoseconds: int

    def document(self) -> dict[str, Any]:
        """Return the event in the format of Docker's API."""
        older = {"status": self.action, "id": self.identity} if self.kind in {CONTAINER, IMAGE} else {}
        image = dict(self.attributes).get("image") if self.kind == CONTAINER else None
        return {
            **older,
            **({"from": image} if image else {}),
            "Type": self.kind,
            "Action": self.action,
            "Actor": {"ID": self.identity, "Attributes": dict(self.attributes)},
            "scope": "local",
            "time": self.nanoseconds // 1_000_000_000,
            "timeNano": self.nanoseconds,
        }


def actor(config: Config, name: str) -> dict[str, str]:
    """Return the attributes that every event of a container has: its labels, image and name."""
    return {**dict(config.program.labels), "image": config.image, "name": name}


def log_event(root: Path, kind: str, action: str, identity: str, attributes: dict[str, str]) -> None:
    """Write an event with the current time to the log of the store at *root*."""
    append(os.fsencode(root), kind, action, identity, attributes, time.time_ns())


def is_first(root: Path, what: str) -> bool:
    """Return True for the first call with the word *what* in the store at *root*, and False for later ones."""
    with suppress(OSError):  # EEXIST, or the store is not writable, and it could not be noted
        (root / EVENTS).mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(root / EVENTS / f"told-{what}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return True
    return False


def read_events(root: Path, since: float | None, until: float | None) -> Iterator[Event]:
    """Yield the events of the store at *root* between two times, in seconds since 1970, and new ones as they come.

    For *since* None means now. Without *until* the iterator does not end.
    """
    begin = time.time() if since is None else since
    for line in _lines(root / EVENTS, until, from_end=since is None):
        event = _parsed(line)
        if event is None or event.nanoseconds < begin * 1e9:
            continue
        if until is not None and event.nanoseconds > until * 1e9:
            continue
        yield event


def _lines(directory: Path, until: float | None, *, from_end: bool) -> Iterator[bytes]:
    """Yield the lines of both files of the log, and then new lines of the latest file as they are written."""
    if not from_end:
        earlier = _opened(directory / EARLIER)
        if earlier is not None:
            with earlier:
                yield from earlier
    file = _opened(directory / LATEST)
    if file is not None and from_end:
        file.seek(0, os.SEEK_END)
    try:
        while True:
            # Computed before reading, so that everything written until then is read.
            over = until is not None and time.time() > until
            if file is not None:
                yield from _whole(file)
            later = _opened(directory / LATEST)
            if later is not None and (file is None or not _same(file, later)):
                if file is not None:
                    yield from _whole(file)
                    file.close()
                file = later
                continue
            if later is not None:
                later.close()
            if over:
                return
            time.sleep(_PAUSE)
    finally:
        if file is not None:
            file.close()


def _whole(file: BinaryIO) -> Iterator[bytes]:
    """Yield the complete lines of *file*. A line that is still being written is left for the next call."""
    while True:
        place = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(place)
            return
        yield line


def _opened(path: Path) -> BinaryIO | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    return None


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))


def _parsed(line: bytes) -> Event | None:
    """Return an event; None for a line that a crash of the host truncated."""
    try:
        document = json.loads(line)
        given = document["Actor"]["Attributes"]
        return Event(
            kind=str(document["Type"]),
            action=str(document["Action"]),
            identity=str(document["Actor"]["ID"]),
            attributes=tuple((str(name), str(value)) for name, value in given.items()),
            nanoseconds=int(document["timeNano"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
