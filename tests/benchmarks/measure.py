"""Run one command; say how long it took and how much memory it held."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
    """Seconds on the clock and of processors, and the largest resident size of one process of the command, in bytes."""

    seconds: float
    processor: float
    """Of the command, and of its daemon with all processes below it."""
    peak: int


def measure(command: Command) -> Measured:
    """Run the command to its end.

    Raises:
        RuntimeError: it failed; its last lines are in the message.
    """
    os.sync()
    if command.daemon is not None:
        Path(f"/proc/{command.daemon}/clear_refs").write_text("5")
    before = _processor_below(command.daemon)
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
    peak = usage.ru_maxrss * 1024 if command.daemon is None else _peak_of(command.daemon)
    processor = usage.ru_utime + usage.ru_stime + _processor_below(command.daemon) - before
    return Measured(seconds=seconds, processor=processor, peak=peak)


def _processor_below(daemon: int | None) -> float:
    """Return the seconds that a daemon, its descendants and those of them that have ended took of processors."""
    used, parents = dict[int, int](), dict[int, int]()
    for path in Path("/proc").glob("[0-9]*/stat") if daemon is not None else ():
        with suppress(FileNotFoundError, ProcessLookupError):
            # After the name, which may have spaces: proc_pid_stat(5) counts from 1, and the state is 3.
            fields = path.read_text().rpartition(")")[2].split()
            number = int(path.parent.name)
            parents[number], used[number] = int(fields[1]), sum(map(int, fields[11:15]))
    return sum(used[each] for each in used if _is_below(each, daemon, parents)) / os.sysconf("SC_CLK_TCK")


def _is_below(number: int, top: int | None, parents: Mapping[int, int]) -> bool:
    while number != top and number in parents:
        number = parents[number]
    return number == top


def _peak_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("VmHWM")
