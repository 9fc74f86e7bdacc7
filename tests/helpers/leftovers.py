"""What a build may leave behind: open descriptors in this process, processes and mounts on the host."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybuild.runtime.kernel.syscalls import prctl
from pybuild.runtime.sandbox.interpreter import child_argv, program
from tests.helpers.waiting import settled

_PR_SET_TIMERSLACK = 29


def descriptors_below(directory: Path) -> list[str]:
    """Files below *directory* that this process has open; those of other tests and of pytest do not count."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        if name.removesuffix(" (deleted)").startswith(str(directory)):
            found.append(name)
    return found


def mounts_below(directory: Path) -> list[str]:
    """Mounts on or of *directory* that this process sees."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]


def opened_by(pid: int | str) -> list[str]:
    """What a process has open; nothing when it has ended. Descriptors come and go while they are listed."""
    found = []
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def mark_descendants() -> None:
    """Give this thread, and all processes and threads that come of it, a timer slack that no other session has.

    It is inherited through fork and exec, also by those who lose their parents, and changes nothing else: 50 microseconds
    are the default. Call this before anything is started.
    """
    prctl(_PR_SET_TIMERSLACK, 50_001 + secrets.randbelow(9_998))


@contextmanager
def marked_descendants() -> Iterator[Callable[[], list[str]]]:
    """Mark what this thread starts while the block runs; yield what lists the living of it, one line each.

    Those of other tests, and those that began before, have another mark.
    """
    before = _mark(Path("/proc/self"))
    mark_descendants()
    mine = _mark(Path("/proc/self"))
    try:
        yield lambda: [_line(each) for each in _processes() if _mark(each) == mine and int(each.name) != os.getpid()]
    finally:
        prctl(_PR_SET_TIMERSLACK, int(before))


def now() -> float:
    """The time that `strays` counts in."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def processes_of(mark: str) -> list[str]:
    """Processes with *mark* in their arguments, variables or mounts, one line each; not this one.

    A process in a sandbox names no path of the host, so it is not among them: see `strays`.
    """
    found = []
    mine = Path("/proc/self").resolve().name
    for directory in _processes():
        if directory.name != mine and any(
            mark.encode() in _read(directory / name) for name in ("cmdline", "environ", "mountinfo")
        ):
            found.append(_line(directory))
    return found


def strays(since: float) -> list[str]:
    """Processes in another PID namespace that began after *since* and have no builder of a test above them any more.

    Those of tests that run at the same time descend from this process or from its parent, which started them all, or, in
    a container, from its monitor. Those of other sessions on this machine have another mark: see `mark_descendants`.
    """
    own, mark = _namespace(Path("/proc/self")), _mark(Path("/proc/self"))
    above = {os.getpid(), os.getppid()}
    found = []
    for directory in _processes():
        if _namespace(directory) in {own, ""} or _began(directory) < since or _mark(directory) not in {mark, b"", b"0"}:
            continue
        ancestors = _ancestors(int(directory.name))
        if not above & set(ancestors) and not any(map(_is_monitor, ancestors)):
            found.append(_line(directory))
    return found


def servers(since: float) -> list[str]:
    """Fork servers of this source tree that began after *since* and have lost their builder, with their state."""
    argv = b"".join(os.fsencode(word) + bytes(1) for word in child_argv())
    found = []
    for directory in _processes():
        if _read(directory / "cmdline") == argv and _began(directory) >= since and _is_orphan(directory, argv):
            state = _stat(directory)[:1]  # empty once it has ended
            found += [f"{_line(directory)}({each})" for each in state]
    return found


def wait_until_no_server(since: float) -> list[str]:
    """Return the `servers` that do not end in time."""
    return settled(lambda: servers(since), [])


def wait_until_no_process(mark: str, since: float | None = None) -> list[str]:
    """Give the kernel the time that it takes to end a process; return those that do not end.

    With *since*, those in sandboxes that began after that time are waited for as well.
    """
    return settled(lambda: [*processes_of(mark), *(strays(since) if since is not None else ())], [])


def _processes() -> list[Path]:
    return list(Path("/proc").glob("[0-9]*"))


def _line(directory: Path) -> str:
    return f"{directory.name}: {_read(directory / 'cmdline').replace(bytes(1), b' ').decode(errors='replace')}"


def _namespace(directory: Path) -> str:
    """The PID namespace of a process, "" where it cannot be seen or the process has ended."""
    try:
        return os.readlink(directory / "ns/pid")
    except OSError:
        return ""


def _mark(directory: Path) -> bytes:
    """The timer slack of a process; "" where it may not be read, and 0 with real-time priority."""
    return _read(directory / "timerslack_ns").strip()


def _stat(directory: Path) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may have blanks in it: the state comes first."""
    return _read(directory / "stat").decode(errors="replace").rpartition(")")[2].split()


def _began(directory: Path) -> float:
    fields = _stat(directory)
    # The kernel counts whole ticks: one that begins in the tick of the question has begun after it.
    return (int(fields[19]) + 1) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _is_orphan(directory: Path, argv: bytes) -> bool:
    """Return whether the builder of a server has ended: the new parent is no Python, nor one of its own kind."""
    if not (fields := _stat(directory)):
        return False
    above = Path(f"/proc/{fields[1]}")
    try:
        return os.readlink(above / "exe") != program() and _read(above / "cmdline") != argv
    except OSError:  # of another user, such as the first process
        return True


def _is_monitor(pid: int) -> bool:
    return b"monitor/bootstrap.py" in _read(Path(f"/proc/{pid}/cmdline"))


def _ancestors(pid: int) -> list[int]:
    found = []
    while pid and (fields := _stat(Path(f"/proc/{pid}"))):
        pid = int(fields[1])
        found.append(pid)
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process ended while it was looked at, or is a kernel thread
        return b""
