"""The fork server as the builder has it: one for each process, replaced when it is gone, ended with the builder."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox import forkserver_client
from tests.runtime.sandboxes import Image


def server_of(process: int) -> int:
    """The process id of the fork server that *process* started, the last one."""
    return max(servers_of(process))


def servers_of(process: int) -> list[int]:
    """The process ids of all fork servers that *process* started."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parent = (directory / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(process) and b"bootstrap.py" in (directory / "cmdline").read_bytes():
                found.append(int(directory.name))
        except OSError:
            continue
    return found


def test_all_sandboxes_of_a_process_come_from_one_server(image: Image) -> None:
    image.run("true")
    first = server_of(os.getpid())
    thread = threading.Thread(target=lambda: image.run("true"))
    thread.start()
    thread.join()
    assert server_of(os.getpid()) == first


def test_a_server_that_was_killed_is_replaced(image: Image) -> None:
    image.run("true")
    first = server_of(os.getpid())
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert image.shell("echo again").out == "again\n"
    assert server_of(os.getpid()) != first


def test_a_forked_builder_has_a_server_of_its_own(image: Image) -> None:
    image.run("true")
    mine = server_of(os.getpid())
    child = os.fork()
    if child == 0:
        image.run("true")
        os._exit(0 if server_of(os.getpid()) != mine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_server_ends_with_the_builder(image: Image) -> None:
    script = (
        "import os, sys; from tests.runtime.sandbox.test_forkserver_client import server_of; from pybuild.runtime.sandbox.launcher import run\n"
        "from pathlib import Path; from pybuild.runtime.rootfs.roots import DirectoryRoot; from pybuild.runtime.sandbox.spec import Process, Spec\n"
        "root = DirectoryRoot(path=Path(sys.argv[1]))\n"
        "run(Spec(root=root, process=Process(args=('true',), env=(('PATH', '/bin'),))), output=print)\n"
        "print(server_of(os.getpid()), flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(image.base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as builder:
        assert builder.stdout is not None
        server = os.pidfd_open(int(builder.stdout.readline()))
        builder.kill()
    ended = select.poll()
    ended.register(server, select.POLLIN)
    assert ended.poll(20_000)
    os.close(server)


def test_no_more_processes_is_an_error_with_its_reason(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver_client, "_SERVERS", {})
    monkeypatch.setattr("socket.recv_fds", lambda *_: (b"11", [], 0, None))
    with pytest.raises(SandboxError, match="start the sandbox child: Resource temporarily unavailable"):
        image.run("true")
