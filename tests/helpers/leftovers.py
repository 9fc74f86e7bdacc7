"""What a build may leave behind: open descriptors in this process, processes and mounts on the host."""

import os
import time
from pathlib import Path

_PATIENCE = 10


def descriptors_below(folder: Path) -> list[str]:
    """Files below *folder* that this process has open; those of other tests and of pytest do not count."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        if name.removesuffix(" (deleted)").startswith(str(folder)):
            found.append(name)
    return found


def mounts_below(folder: Path) -> list[str]:
    """Mounts on or of *folder* that this process sees."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]


def processes_of(mark: str) -> list[str]:
    """Processes with *mark* in their arguments, variables or mounts, one line each; not this one."""
    found = []
    mine = Path("/proc/self").resolve().name
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name != mine and any(
            mark.encode() in _read(folder / name) for name in ("cmdline", "environ", "mountinfo")
        ):
            found.append(f"{folder.name}: {_read(folder / 'cmdline').replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def wait_until_no_process(mark: str) -> list[str]:
    """Give the kernel the time that it takes to end a process; return those that do not end."""
    deadline = time.monotonic() + _PATIENCE
    while (found := processes_of(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process ended while it was looked at, or is a kernel thread
        return b""
