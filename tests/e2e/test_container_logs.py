"""Large logs: no byte is lost, whatever it is, and the monitor does not grow."""

import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers import bases
from tests.helpers.program import Program
from tests.helpers.thorough import first_in_ci

MOST_MEMORY = 20_000
"""Kilobytes of a monitor, whatever is printed; it has about 12,000."""
PATIENCE = 300


@pytest.fixture
def host(tmp_path: Path) -> Program:
    program = Program(store=tmp_path / "store", variables=(("PYBUILD_NETWORK", "none"),))
    program.run("import", "-c", "ENV PATH=/bin", str(bases.small()), "small")
    return program


def printed(host: Program, name: str) -> str:
    """The digest of what ``logs`` writes."""
    words = host.command("logs", name)
    digest = hashlib.sha256()
    with subprocess.Popen(words, env=host.environment, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise TypeError
        for piece in iter(lambda: process.stdout.read(1 << 16), b""):  # type: ignore[union-attr]
            digest.update(piece)
    return digest.hexdigest()


def monitor(host: Program) -> Path:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            links = [os.readlink(link) for link in (path / "fd").iterdir()]
            if b"monitor/bootstrap.py" in (path / "cmdline").read_bytes() and any(
                link.startswith(str(host.store)) for link in links
            ):
                return path
        except OSError:
            continue
    raise AssertionError("there is no monitor")


@pytest.mark.parametrize(
    ("kind", "megabytes"), [*first_in_ci(("lines", 16), ("lines", 64)), *first_in_ci(("bytes", 16))]
)
def test_nothing_is_lost_and_the_monitor_does_not_grow(
    host: Program, tmp_path: Path, kind: str, megabytes: int
) -> None:
    text = b"".join(b"line %07d\n" % number for number in range(megabytes << 16))
    # The last line waits for its end, as in Docker.
    content = text if kind == "lines" else os.urandom(megabytes << 20) + b"\n"
    (tmp_path / "given").write_bytes(content)
    script = "cat /given; touch /done; sleep 1000"
    given = f"{tmp_path}/given:/given:ro"
    identity = host.run("run", "-d", "--name", "c1", "-v", given, "small", "sh", "-c", script).stdout.strip()
    watched, begun = monitor(host), time.monotonic()
    done = host.store / "containers" / identity / "rootfs/fs/done"
    while not done.exists():
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.05)
    # What was in the pipe at that moment is logged in the next.
    wanted = hashlib.sha256(content).hexdigest()
    while printed(host, "c1") != wanted:
        assert time.monotonic() - begun < PATIENCE
    status = (watched / "status").read_text(encoding="ascii")
    most = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    assert most < MOST_MEMORY, f"{most} kB"
    host.run("rm", "-f", "c1")
