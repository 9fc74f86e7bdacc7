"""What happens in a store, one line of JSON for each event, appended by commands and monitors as it happens.

Monitors write here, too, so this module loads neither json nor pathlib. A line has what ``docker events`` shows.
"""

import fcntl
import os
import time

from pybuild.runtime.monitor.state import as_json

EVENTS, LATEST, EARLIER = "events", "latest.log", "earlier.log"
"""The directory in a store, and the two files in it."""
_MOST = 4 << 20
"""Bytes of a file: a full one takes the place of the earlier one."""


def append(  # noqa: PLR0917 - the members of an event
    root: bytes, kind: str, action: str, identity: str, attributes: dict[str, str], nanoseconds: int
) -> None:
    """Note that *action* happened to the object *identity* of this *kind* in the store at *root*.

    A disk that is full, or a store that cannot be written, loses events, and nothing else.
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
    except OSError:  # the disk is full, or not writable: an event is lost, which must not end a container
        return


class Teller:
    """Notes what happens to one object: its identity is the name of *directory*, each event has *attributes*."""

    def __init__(self, root: bytes, directory: bytes, attributes: tuple[tuple[bytes, bytes], ...]) -> None:
        self._root, self._identity = root, os.fsdecode(os.path.basename(directory))
        self.attributes = {name.decode(errors="replace"): text.decode(errors="replace") for name, text in attributes}

    def tell(self, action: str, **attributes: str) -> None:
        """Note that *action* happens to it now."""
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
            os.write(file, line)
            if os.fstat(file).st_size > _MOST:
                _rotate(place)
        finally:
            os.close(file)
    finally:
        os.close(place)


def _rotate(place: int) -> None:
    """Begin a new file. Of several that want to, one does; nobody waits."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if os.stat(LATEST, dir_fd=place).st_size > _MOST:
        os.rename(LATEST, EARLIER, src_dir_fd=place, dst_dir_fd=place)
