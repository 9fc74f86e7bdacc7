"""The supervisors of steps, found by what they have open."""

import os
from pathlib import Path

from tests.helpers.waiting import until


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


def _runs_a_shell(builder: int) -> bool:
    """Whether there is a shell below *builder* in another PID namespace than ours."""
    own = os.readlink("/proc/self/ns/pid")
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_shell = (path / "comm").read_text(encoding="utf-8") == "sh\n"
            if is_shell and os.readlink(path / "ns/pid") != own and builder in _ancestors(int(path.name)):
                return True
        except OSError:
            continue
    return False


def supervisor_below(builder: int) -> int:
    """Wait until the shell of a step of *builder* runs, which is when all is prepared; return its supervisor."""
    until(lambda: _runs_a_shell(builder))
    return until(lambda: _supervisor(builder))
