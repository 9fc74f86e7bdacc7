"""The processes of a sandbox as the host sees them, from the builder down to the program."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.waiting import PATIENCE
from tests.runtime.sandboxes import Image

_BUILDER = """
import sys
from pathlib import Path, PurePosixPath
from pybuild.runtime.sandbox.launcher import run
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.spec import Bind, Process, Spec
def show(stream, data):
    print(data.decode(), end="", flush=True)
base, shown, user, *args = sys.argv[1:]
process = Process(args=tuple(args), env=(("PATH", "/bin"),), user=user)
mounts = tuple(Bind(host_path=Path(path), target=PurePosixPath(path)) for path in shown.split(":") if path)
run(Spec(root=DirectoryRoot(path=Path(base)), process=process, mounts=mounts), output=show)
"""


def child_of(parent: int) -> int:
    """The process id of the one child of *parent*."""
    [child] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(child)


@dataclass(frozen=True, slots=True)
class Chain:
    """A builder and what runs for it, each the child of the one before."""

    builder: int
    server: int
    keeper: int
    guard: int
    program: int


@contextmanager
def running(image: Image, *args: str, user: str = "") -> Iterator[Chain]:
    """Run *args*, which print a line when they are up, and then never end, in the sandbox of another builder.

    In the end the builder is killed, and all others must end by that.
    """
    shown = ":".join(str(mount.target) for mount in image.mounts)
    command = [sys.executable, "-c", _BUILDER, os.fspath(image.base), shown, user, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline()
        found = [builder.pid]
        while len(found) < len(Chain.__dataclass_fields__):
            found.append(child_of(found[-1]))
        handles = [os.pidfd_open(pid) for pid in found]
        try:
            yield Chain(*found)
        finally:
            builder.kill()
            left = [pid for pid, handle in zip(found, handles, strict=True) if not _let_end(handle)]
    assert left == []


def _let_end(handle: int) -> bool:
    """Let a process go on that a test has stopped, and kill it when it does not end by itself; return whether it did."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGCONT)
    has_ended = ends(handle)
    if not has_ended:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    return has_ended


def ends(pidfd: int) -> bool:
    """Wait for the end of the process *pidfd*; return whether it came."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(PATIENCE * 1000))
