"""What a monitor does with the control groups of its container: it freezes, reads, kills and removes them.

A group is given by its directory. A container has one in each hierarchy: version 2 of cgroups has one hierarchy,
version 1 several.
"""

import os
import time

from pybuild.runtime.kernel.pidfd import send_signal
from pybuild.runtime.kernel.syscalls import SIGKILL

_FREEZE, _STATE, _KILL, _MEMBERS = "cgroup.freeze", "freezer.state", "cgroup.kill", "cgroup.procs"
_OOM_COUNTS = ("memory.events", "memory.oom_control")
_PAUSE = 0.01  # seconds between two tries: version 1 notifies nobody when a group has been frozen, or is empty
_PATIENCE = 200  # tries, which are two seconds, until all processes are frozen
_EMPTY_TRIES = 50  # tries, which are half a second, until killed processes have left a group


def freeze(groups: tuple[bytes, ...], *, frozen: bool) -> bool:
    """Stop all processes of *groups*, or let them continue. Return False if no group can, or processes still run."""
    for group in groups:
        if _has(group, _FREEZE):
            _write(group, _FREEZE, b"1" if frozen else b"0")
            return True
    for group in groups:
        if _has(group, _STATE):
            wanted = b"FROZEN" if frozen else b"THAWED"
            for _ in range(_PATIENCE):
                # Version 1 may stay in FREEZING when a process forks meanwhile; writing again makes it continue.
                _write(group, _STATE, wanted)
                if _read(group, _STATE).strip() == wanted:
                    return True
                time.sleep(_PAUSE)
            return False
    return False


def oom_kills(groups: tuple[bytes, ...]) -> int:
    """Return how many processes of *groups* the kernel killed for lack of memory."""
    for group in groups:
        for name in _OOM_COUNTS:
            for line in _read(group, name).splitlines():
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
    return 0


def kill(groups: tuple[bytes, ...]) -> None:
    """Kill all processes of *groups*, where the kernel can: in version 2, from Linux 5.14."""
    for group in groups:
        if _has(group, _KILL):
            _write(group, _KILL, b"1")


def kill_all(groups: tuple[bytes, ...]) -> None:
    """Kill all processes of *groups*, and wait until they have ended.

    They are frozen meanwhile, where the kernel can, so that none forks before it is killed.
    """
    for _ in range(_PATIENCE):
        members = {number for group in groups for number in _members(group)}
        if not members:
            return
        freeze(groups, frozen=True)
        kill(groups)
        for number in members:
            _kill_member(groups, number)
        freeze(groups, frozen=False)
        time.sleep(_PAUSE)


def _members(group: bytes) -> list[int]:
    return list(map(int, _read_all(group, _MEMBERS).split()))


def _kill_member(groups: tuple[bytes, ...], number: int) -> None:
    """Kill the process *number*, if it still is one of *groups*: by now another one may have the number."""
    try:
        process = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        if any(number in _members(group) for group in groups):
            send_signal(process, SIGKILL)
    finally:
        os.close(process)


def remove(groups: tuple[bytes, ...]) -> None:
    """Remove *groups* with the groups inside them, when their last processes, which are ending, have left."""
    for group in groups:
        for _ in range(_EMPTY_TRIES):
            try:
                _remove_inner(group)
                os.rmdir(group)
            except FileNotFoundError:
                break
            except OSError:  # EBUSY: its last processes have been killed, but not reaped yet
                time.sleep(_PAUSE)
            else:
                break


def _remove_inner(group: bytes) -> None:
    """Remove the groups that the container made in its own, as one does that may write there and runs systemd."""
    for place, inner, _ in os.walk(group, topdown=False):
        for name in inner:
            try:
                os.rmdir(os.path.join(place, name))
            except FileNotFoundError:
                continue


def _has(group: bytes, name: str) -> bool:
    return os.path.exists(os.path.join(group, os.fsencode(name)))


def _read(group: bytes, name: str) -> bytes:
    try:
        with open(os.path.join(group, os.fsencode(name)), "rb", buffering=0) as file:
            return file.read(4096) or b""
    except OSError:  # the file is one of another cgroup version, or the group has been removed
        return b""


def _read_all(group: bytes, name: str) -> bytes:
    try:
        with open(os.path.join(group, os.fsencode(name)), "rb", buffering=0) as file:
            return file.readall()
    except OSError:  # the group has been removed
        return b""


def _write(group: bytes, name: str, text: bytes) -> None:
    try:
        with open(os.path.join(group, os.fsencode(name)), "wb", buffering=0) as file:
            file.write(text)
    except OSError:  # as in `_read`
        return
