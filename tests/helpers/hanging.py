"""What hanging processes wait for: the call of the kernel that each is in, what it has open, and the locks of files."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.helpers.leftovers import opened_by


def where_they_wait(numbers: Iterable[int]) -> str:
    """Describe these processes, their descendants, and who holds and awaits locks. It is for the reader of a failure."""
    parents = {int(name): _parent(name) for name in os.listdir("/proc") if name.isdigit()}
    wanted = set(numbers)
    for _ in range(len(parents)):
        found = {child for child, parent in parents.items() if parent in wanted} - wanted
        if not found:
            break
        wanted |= found
    return "\n".join([*map(_described, sorted(wanted)), _read(Path("/proc/locks"))])


def _parent(number: str) -> int:
    line = next((line for line in _read(Path(f"/proc/{number}/status")).splitlines() if line.startswith("PPid:")), "")
    return int(line.partition(":")[2] or 0)


def _described(number: int) -> str:
    place = Path(f"/proc/{number}")
    calls = [line.rpartition(" ")[2] for line in _read(place / "stack").splitlines()]
    words = _read(place / "cmdline").replace("\0", " ").strip()
    return f"{number}: {words}\n  waits in: {' '.join(calls)}\n  open: {' '.join(opened_by(number))}"


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""
