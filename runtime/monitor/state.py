"""The file with the state of a container, which its monitor writes, with the names that Docker uses.

The JSON is put together here, because the import of the module ``json`` takes longer than making a sandbox.
"""

import os
import time
from _json import encode_basestring_ascii
from errno import EDQUOT, ENOSPC

from pybuild.runtime.kernel.pidfd import boot_id

STATE = "state.json"
NEVER = "0001-01-01T00:00:00Z"
"""The time of an event that has not happened: the zero value of Go's time, as in Docker's output."""
_NEW = "state.json.new"
_BLOCK = 512  # bytes of a block of st_blocks (stat(2))
_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def timestamp(nanoseconds: int) -> str:
    """Return a time, in nanoseconds since the epoch, by RFC 3339 in UTC, without zeros at the end of the fraction."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}{fraction}Z"


def as_json(value: object) -> str:
    """Return *value* as JSON: a mapping with texts as keys, a list, a tuple, a text, a number, a bool or None."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(key)}:{as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(as_json, value)) + "]"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return (
        {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else f"{value}"
    )


class StateFile:
    """What changes of a container while it runs.

    *pid*, *start_time* and *boot* together identify the first process, see `kernel.pidfd`; *stopped* is whether a
    command has stopped or killed the container, so that no policy starts it again.
    """

    __slots__ = (
        *("boot", "error", "exit_code", "finished", "health", "oom_killed", "pid"),
        *("restarts", "start_time", "started", "status", "stopped"),
    )

    def __init__(self, finished: str) -> None:
        """Make the state of a container that is about to be started, and last ended at *finished*."""
        self.status, self.error, self.boot = "created", "", boot_id()
        self.pid = self.start_time = self.exit_code = self.restarts = 0
        self.started, self.finished = NEVER, finished
        self.oom_killed = self.stopped = False
        self.health: dict[str, object] | None = None

    def document(self) -> dict[str, object]:
        """Return the members of the file."""
        return {
            "Status": self.status,
            "Pid": self.pid,
            "StartTime": self.start_time,
            "Boot": self.boot,
            "ExitCode": self.exit_code,
            "Error": self.error,
            "OOMKilled": self.oom_killed,
            "StartedAt": self.started,
            "FinishedAt": self.finished,
            "RestartCount": self.restarts,
            "Stopped": self.stopped,
            **({} if self.health is None else {"Health": self.health}),
        }

    def write(self, directory: int, *, sync: bool) -> None:
        """Replace the file in the open directory *directory* by one rename; with *sync* it is flushed first.

        On a full disk the file is overwritten where it is.
        """
        text = as_json(self.document()).encode()
        try:
            _put(os.open(_NEW, _FLAGS | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=directory), text, sync=sync)
        except OSError as error:
            if error.errno not in {ENOSPC, EDQUOT} or not _overwrite(directory, text, sync=sync):
                raise
        else:
            os.rename(_NEW, STATE, src_dir_fd=directory, dst_dir_fd=directory)


def _overwrite(directory: int, text: bytes, *, sync: bool) -> bool:
    """Overwrite the file within its blocks; return False, and leave it as it is, if there is none or they are too few.

    So the end of a container is recorded on a full disk, where its exit code would be lost with its monitor.
    """
    try:
        file = os.open(STATE, _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return False
    found = os.fstat(file)
    if len(text) > found.st_blocks * _BLOCK:
        os.close(file)
        return False
    # By one write of at least the old length: readers see no end of the old text behind the new one.
    _put(file, text.ljust(found.st_size), sync=sync)
    return True


def _put(file: int, text: bytes, *, sync: bool) -> None:
    """Write *text* to the open *file*, and close it."""
    try:
        if os.write(file, text) < len(text):
            raise OSError(ENOSPC, "no space left for the state of a container")
        if sync:
            os.fsync(file)
    finally:
        os.close(file)
