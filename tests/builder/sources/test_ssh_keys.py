"""Keys in files are served by an agent that ends with its block."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.sources.ssh_keys import key_agents
from tests.helpers.leftovers import wait_until_no_process


def made(path: Path, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", path]
    subprocess.run(command, check=True)
    return path


def listed(socket: Path) -> list[str]:
    environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
    shown = subprocess.run(["ssh-add", "-L"], env=environment, capture_output=True, text=True, check=False)
    return [line.split()[0] for line in shown.stdout.splitlines()]


def public(path: Path) -> str:
    return path.with_name(f"{path.name}.pub").read_text().split()[1]


def test_each_id_has_an_agent_with_its_keys_whatever_the_mode_of_their_files(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    one.chmod(0o644)
    with key_agents({"a": (one, two), "b": (two,)}) as agents:
        (first, a), (second, b) = agents
        assert (first, len(listed(a)), second, len(listed(b))) == ("a", 2, "b", 1)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(b)}
        shown = subprocess.run(["ssh-add", "-L"], env=environment, capture_output=True, text=True, check=True).stdout
        assert public(two) in shown
    assert not a.parent.exists()
    assert wait_until_no_process(str(a.parent)) == wait_until_no_process(str(b.parent)) == []


def test_a_key_with_a_passphrase_is_refused_and_so_is_what_is_no_key(tmp_path: Path) -> None:
    locked, text = made(tmp_path / "locked", "secret"), tmp_path / "text"
    text.write_text("no key\n")
    with (
        pytest.raises(RequestError, match="locked is protected by a passphrase") as caught,
        key_agents({"a": (locked,)}),
    ):
        pass
    assert "ssh-add" in caught.value.hint
    with pytest.raises(RequestError, match="text is neither a private key nor the socket"), key_agents({"a": (text,)}):
        pass
    with pytest.raises(RequestError, match="none: no such file"), key_agents({"a": (tmp_path / "none",)}):
        pass
    text.write_bytes(b"x" * (101 << 10))
    with pytest.raises(RequestError, match="too long for a key"), key_agents({"a": (text,)}):
        pass


def test_programs_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="ssh-agent, which is not installed"), key_agents({"a": (tmp_path / "k",)}):
        pass


KILLED = """
import sys, pathlib
from pybuild.builder.sources.ssh_keys import key_agents
with key_agents({"a": (pathlib.Path(sys.argv[1]),)}) as agents:
    print(agents[0][1].parent, flush=True)
    sys.stdin.read()
"""


def test_an_agent_does_not_outlive_a_builder_that_was_killed(tmp_path: Path) -> None:
    key = made(tmp_path / "key")
    command = [sys.executable, "-c", KILLED, key]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        directory = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    assert wait_until_no_process(directory) == []
