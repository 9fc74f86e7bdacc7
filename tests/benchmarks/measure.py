"""Run one command; say how long it took and how much memory it held."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to be timed. Its standard output goes to *output* if given; *daemon* is who does its work."""

    words: Sequence[str]
    environment: Mapping[str, str]
    source: Path | None = None
    output: Path | None = None
    daemon: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Wall-clock seconds, and the largest resident size of any one process of the command, in bytes."""

    seconds: float
    peak: int


def measure(command: Command) -> Measured:
    """Run the command to its end.

    Raises:
        RuntimeError: it failed; its last lines are in the message.
    """
    os.sync()
    if command.daemon is not None:
        Path(f"/proc/{command.daemon}/clear_refs").write_text("5")
    with (
        Path(command.source or os.devnull).open("rb") as source,
        Path(command.output or os.devnull).open("wb") as output,
    ):
        start = time.monotonic()
        process = subprocess.Popen(
            command.words, env=command.environment, stdin=source, stdout=output, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        printed = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command.words)}: {printed.decode(errors='replace')[-2000:]}")
    peak = usage.ru_maxrss * 1024
    return Measured(seconds=seconds, peak=peak if command.daemon is None else _peak_of(command.daemon))


def _peak_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("VmHWM")
