"""The supervisors of steps, found by what they have open."""

import os
import time
from pathlib import Path

_PATIENCE = 60


def _ancestors(pid: int) -> list[int]:
    """The numbers of a process and of those that it descends from."""
    found = []
    while pid:
        found.append(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            return found
    return found


def _supervisor(builder: int) -> int:
    """The process below *builder* that hears of calls, 0 for none."""
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if "seccomp notify" in os.readlink(path) and builder in _ancestors(pid := int(path.parts[2]))[1:]:
                return pid
        except OSError:
            continue
    return 0


def supervisor_below(builder: int) -> int:
    """Wait until a step of *builder* has been running for a moment; return the process of its supervisor."""
    end = time.monotonic() + _PATIENCE
    # The step itself has the listener until its supervisor has it.
    while not ((first := _supervisor(builder)) and time.sleep(0.2) is None and _supervisor(builder) == first):
        assert time.monotonic() < end
        time.sleep(0.05)
    return first
