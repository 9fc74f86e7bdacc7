"""The agent that a step sees: keys are listed and used, everything else is refused."""

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pybuild.builder.execute.agent import agent_socket
from pybuild.builder.plan.ops import SshMount
from tests.helpers.waiting import until

REFUSED = b"\0\0\0\1\5"


def mount(**options: int) -> SshMount:
    return SshMount(target="/agent", **options)  # type: ignore[arg-type]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """A real ssh-agent with one key. It is a child of this process, so what it says and its exit code are seen."""
    path, key = tmp_path / "real", tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a key", "-f", key], check=True)
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:
            # 1 says that it has no keys, 2 that it does not answer.
            until(lambda: program(path, "ssh-add", "-l").returncode == 1 or process.poll() is not None)
            added = program(path, "ssh-add", "-q", key)
            assert added.returncode == 0, (added, process.poll())
            yield path
        finally:
            process.terminate()


def program(path: Path, *command: str | Path, data: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
    return subprocess.run(command, env=environment, input=data, capture_output=True, text=True, check=False)


def answer(path: Path, message: bytes) -> bytes:
    """Return what comes back until the connection ends; one that is cut off ends, too."""
    with socket.socket(socket.AF_UNIX) as client, suppress(ConnectionResetError, BrokenPipeError):
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(message)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(4096), b""))
    return b""


def test_keys_are_listed_and_sign(agent: Path, tmp_path: Path) -> None:
    with agent_socket(agent, mount(), tmp_path) as path:
        assert "a key" in program(path, "ssh-add", "-l").stdout
        signing = ("ssh-keygen", "-Y", "sign", "-n", "file", "-f", tmp_path / "key.pub")
        (tmp_path / "key").unlink()
        assert program(path, *signing, data="text").stdout.startswith("-----BEGIN SSH SIGNATURE-----")


def test_keys_cannot_be_added_removed_or_locked(agent: Path, tmp_path: Path) -> None:
    with agent_socket(agent, mount(), tmp_path) as path:
        assert program(path, "ssh-add", "-D").returncode != 0
        assert program(path, "ssh-add", "-q", tmp_path / "key").returncode != 0
        for kind in (9, 17, 18, 19, 20, 22, 25, 27, 255):
            assert answer(path, b"\0\0\0\1" + bytes([kind])) == REFUSED
    assert "a key" in program(agent, "ssh-add", "-l").stdout


@pytest.mark.parametrize("message", [b"\xff\xff\xff\xff\x0b", b"\0\0\0\0", b"\0\0\0\5\x0b", b""])
def test_what_is_no_message_ends_the_connection(agent: Path, tmp_path: Path, message: bytes) -> None:
    with agent_socket(agent, mount(), tmp_path) as path:
        assert answer(path, message) == b""


def test_a_message_longer_than_any_is_not_waited_for(agent: Path, tmp_path: Path) -> None:
    with agent_socket(agent, mount(), tmp_path) as path, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"\xff\xff\xff\xff")
        # Our side stays open: only the length can have ended it.
        assert client.recv(1) == b""


def test_the_socket_has_the_owner_and_mode_of_the_mount_and_goes_with_the_step(tmp_path: Path) -> None:
    directory = tmp_path / ("deep" * 40)
    directory.mkdir()
    with agent_socket(tmp_path / "none", mount(uid=7, gid=8, mode=0o660), directory) as path:
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o660, 7, 8)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with agent_socket(tmp_path / "none", mount(), directory) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(directory.iterdir()) == []


def test_an_agent_that_is_gone_ends_the_connection(tmp_path: Path) -> None:
    with agent_socket(tmp_path / "none", mount(), tmp_path) as path:
        assert answer(path, b"\0\0\0\1\x0b") == b""
