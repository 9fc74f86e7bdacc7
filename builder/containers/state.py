"""The state of a container: read from the file of its monitor, and corrected when the monitor is gone."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from pybuild.builder.networks.membership import is_live
from pybuild.runtime.kernel.pidfd import boot_id, open_process
from pybuild.runtime.monitor.state import NEVER, STATE, StateFile
from pybuild.runtime.values import frozen, replace

MONITOR = "monitor"
"""The file that a monitor keeps locked as long as it lives."""
ALIVE = frozenset({"running", "paused", "restarting"})
LOST, REBOOTED = 137, 255
"""Exit codes of a container whose monitor was killed, and of one that ran when the host went down."""


@frozen
class State:
    """The state of a container; `runtime.monitor.state.StateFile` describes the file.

    *lost* means that the file says that it runs, but its monitor is gone, and nobody has recorded the end (`recovery`).
    """

    status: str = "created"
    pid: int = 0
    start_time: int = 0
    boot: str = ""
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: str = NEVER
    finished: str = NEVER
    restarts: int = 0
    stopped: bool = False
    health: Any = None
    """The member ``Health`` of the file, None without a health check."""
    lost: bool = False

    @property
    def runs(self) -> bool:
        """Whether it has processes: it is running or paused."""
        return self.status in {"running", "paused"}

    def processes(self) -> frozenset[int]:
        """Return the numbers, in our PID namespace, of all processes in the PID namespace of its first process.

        Not all of them are its own where it has joined that of others.
        """
        found = set()
        with suppress(FileNotFoundError, ProcessLookupError):
            wanted = os.stat(f"/proc/{self.pid}/ns/pid")
            for name in filter(str.isdigit, os.listdir("/proc")):
                with suppress(OSError):  # it has ended, or this user may not see its namespaces
                    if os.path.samestat(os.stat(f"/proc/{name}/ns/pid"), wanted):
                        found.add(int(name))
        return frozenset(found)

    def open_process(self) -> int | None:
        """Return a pidfd of its first process; None when that has ended."""
        return open_process(self.pid, self.start_time) if self.pid and self.boot == boot_id() else None

    def is_due(self, policy: str, most: int) -> bool:
        """Return whether the restart policy starts it after a boot, as Docker's daemon does when it starts.

        *most* is the largest number of restarts of ``on-failure``, 0 for no limit.
        """
        if self.status != "exited":
            return False
        failed = self.exit_code != 0 and (most == 0 or self.restarts < most)
        return {"always": True, "unless-stopped": not self.stopped, "on-failure": failed}.get(policy, False)


_MEMBERS = {
    "Status": "status",
    "Pid": "pid",
    "StartTime": "start_time",
    "Boot": "boot",
    "ExitCode": "exit_code",
    "Error": "error",
    "OOMKilled": "oom_killed",
    "StartedAt": "started",
    "FinishedAt": "finished",
    "RestartCount": "restarts",
    "Stopped": "stopped",
    "Health": "health",
}


def read_state(directory: Path) -> State:
    """Return the state of the container in *directory*. If it ran when its monitor or its host died, it has exited."""
    # The file is read before the lock is tried: a monitor writes the end before it releases its lock.
    members = _members(directory)
    state = State(**{_MEMBERS[name]: value for name, value in members.items() if name in _MEMBERS})
    if state.status not in ALIVE or is_watched(directory):
        return state
    again = _members(directory)
    if again != members:
        return read_state(directory)
    return _lost(state)


def _lost(state: State) -> State:
    rebooted = state.boot != boot_id()
    error = "" if rebooted else "monitor lost"
    code = REBOOTED if rebooted else LOST
    return replace(state, status="exited", exit_code=code, error=error, lost=True)


def _members(directory: Path) -> dict[str, Any]:
    try:
        found = json.loads((directory / STATE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:  # truncated by a crash of the host
        return {"Status": "exited", "ExitCode": REBOOTED}
    return found if isinstance(found, dict) else {}


def needs_settling(directory: Path, state: State, *, removed: bool) -> bool:
    """Return whether the next command has to settle the container, or remove it if it is to be *removed* at its end."""
    goes = removed and state.status == "exited" and not state.lost
    return state.lost or ((goes or is_live(directory)) and not is_watched(directory))


def write_state(directory: Path, state: State, *, sync: bool = True) -> None:
    """Write the state of a container without a monitor. The caller holds the lock of the container."""
    written = StateFile(state.finished)
    for name in _MEMBERS.values():
        setattr(written, name, getattr(state, name))
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        written.write(opened, sync=sync)
    finally:
        os.close(opened)


def is_watched(directory: Path) -> bool:
    """Return whether the container in *directory* has a monitor."""
    try:
        file = os.open(directory / MONITOR, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
