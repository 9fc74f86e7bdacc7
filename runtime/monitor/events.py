"""The log of events of a store: commands and monitors append a line of JSON for each event as it happens.

A line has the members that ``docker events`` shows. Monitors are to be small, so this module imports neither json nor
pathlib.
"""

import fcntl
import os
import time

from pybuild.runtime.monitor.state import as_json

EVENTS, LATEST, EARLIER = "events", "latest.log", "earlier.log"
"""The directory in a store, and the two files in it: the one that is appended to, and the one before it."""
_MOST = 4 << 20
"""Bytes of a file. When the latest one has more, it replaces the earlier one."""


def append(  # noqa: PLR0917 - the members of an event
    root: bytes, kind: str, action: str, identity: str, attributes: dict[str, str], nanoseconds: int
) -> None:
    """Record that *action* happened to the object *identity* of this *kind* in the store at *root*.

    *nanoseconds* is its time since the epoch. When the disk is full or read-only the event is lost, without an error.
    """
    document = {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": identity, "Attributes": attributes},
        "scope": "local",
        "time": nanoseconds // 1_000_000_000,
        "timeNano": nanoseconds,
    }
    try:
        _append(os.path.join(root, os.fsencode(EVENTS)), as_json(document).encode() + b"\n")
    except OSError:  # a lost event must not end a container
        return


class EventRecorder:
    """Records the events of one container. Its ID is the name of *directory*, and each event has *attributes*."""

    def __init__(self, root: bytes, directory: bytes, attributes: tuple[tuple[bytes, bytes], ...]) -> None:
        self._root, self._identity = root, os.fsdecode(os.path.basename(directory))
        self.attributes = {name.decode(errors="replace"): text.decode(errors="replace") for name, text in attributes}

    def record(self, action: str, **attributes: str) -> None:
        """Record that *action* happens to the container now, with more *attributes*."""
        append(self._root, "container", action, self._identity, {**self.attributes, **attributes}, time.time_ns())


def _append(directory: bytes, line: bytes) -> None:
    try:
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        os.mkdir(directory, 0o700)
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(LATEST, flags, 0o600, dir_fd=place)
        try:
            os.write(file, line)  # one call: lines that are appended at the same time must not mix
            if os.fstat(file).st_size > _MOST:
                _rotate(place)
        finally:
            os.close(file)
    finally:
        os.close(place)


def _rotate(place: int) -> None:
    """Make the latest file the earlier one, unless another process is doing it, for which nobody has to wait."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    # Once more, under the lock: another process may have done it since.
    if os.stat(LATEST, dir_fd=place).st_size > _MOST:
        os.rename(LATEST, EARLIER, src_dir_fd=place, dst_dir_fd=place)
