"""What the fork server holds and hands to its children: nothing of the host that it does not need."""

import os
import signal
import socket
from contextlib import closing
from pathlib import Path

import pytest

from pybuild.runtime.kernel.syscalls import prctl
from pybuild.runtime.sandbox.inside import forkserver
from pybuild.runtime.sandbox.inside.plan import RUN

_PR_GET_DUMPABLE = 3


def _tell(_plan: int, status: int, _parent: int) -> None:
    """Stand in for the keeper: say what there is, and end."""
    found = [f"open {os.listdir('/proc/self/fd')}", f"cwd {os.getcwd()}", f"dumpable {prctl(_PR_GET_DUMPABLE, 0)}"]
    found.append(f"blocked {signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])}")
    for module in ("colorsys", "antigravity", "never_imported_before"):
        try:
            __import__(module)
        except (ImportError, ImportWarning):
            continue
        found.append(f"imported {module}")
    os.write(status, "\n".join(found).encode())
    os._exit(0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What a child of the fork server says of itself."""
    monkeypatch.setattr(forkserver, "keep", _tell)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "never_imported_before.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = os.fork()
    if server == 0:
        try:
            os.dup2(theirs.fileno(), 0)
            # Left open by mistake, for each program that is started.
            os.dup2(os.open("/etc", os.O_RDONLY), 50, inheritable=True)
            forkserver.serve()
        finally:
            os._exit(99)
    with closing(ours), closing(theirs):
        return _ask(ours, server)


def _ask(channel: socket.socket, server: int) -> list[str]:
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    socket.send_fds(channel, [RUN], (null, writer, null, null, null))
    _, pidfds, _, _ = socket.recv_fds(channel, 64, 1)
    for fd in (writer, null, *pidfds):
        os.close(fd)
    with open(reader, "rb") as file:
        found = file.read().decode().splitlines()
    channel.shutdown(socket.SHUT_RDWR)
    os.waitpid(server, 0)
    return found


def test_a_child_holds_its_own_descriptors_only(told: list[str]) -> None:
    numbers = next(line for line in told if line.startswith("open"))
    # The three streams, the plan, the status pipe, and the directory that lists them.
    assert len(numbers.split()) == 1 + 6
    assert "50" not in numbers


def test_nothing_can_be_imported_any_more(told: list[str]) -> None:
    assert [line for line in told if line.startswith("imported")] == []


def test_nobody_looks_into_the_server_and_ctrl_c_is_not_for_it(told: list[str]) -> None:
    assert {"dumpable 0", "blocked True", "cwd /"} <= set(told)
