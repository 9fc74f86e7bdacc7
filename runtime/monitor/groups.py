"""The control groups of a container, by the directories that its monitor was given: read, frozen, killed, removed."""

import os
import time

_FREEZE, _STATE, _KILL = "cgroup.freeze", "freezer.state", "cgroup.kill"
_OOM_COUNTS = ("memory.events", "memory.oom_control")
_PAUSE = 0.01  # seconds between two looks: the kernel reports neither of the two that are waited for
_PATIENCE = 200  # looks, two seconds, until all processes are frozen
_EMPTY_TRIES = 50  # looks, half a second, until killed processes have left


def freeze(groups: tuple[bytes, ...], *, frozen: bool) -> bool:
    """Stop all processes of *groups*, or let them continue. Return whether there is a group that can."""
    for group in groups:
        if _has(group, _FREEZE):
            _write(group, _FREEZE, b"1" if frozen else b"0")
            return True
    for group in groups:
        if _has(group, _STATE):
            wanted = b"FROZEN" if frozen else b"THAWED"
            for _ in range(_PATIENCE):
                # The older freezer gives up when a process forks meanwhile; asking again continues.
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
    """Kill what is left in *groups*."""
    for group in groups:
        if _has(group, _KILL):
            _write(group, _KILL, b"1")


def remove(groups: tuple[bytes, ...]) -> None:
    """Remove *groups*, which have no process, or none in a moment, with the groups that were made in them."""
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
    """Remove what a container made in its own group: one with the rights for it may run systemd."""
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


def _write(group: bytes, name: str, text: bytes) -> None:
    try:
        with open(os.path.join(group, os.fsencode(name)), "wb", buffering=0) as file:
            file.write(text)
    except OSError:  # as in `_read`
        return
