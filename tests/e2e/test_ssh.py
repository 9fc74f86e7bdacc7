"""Real agents, keys in files, and repositories behind a real sshd."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs
from tests.helpers.leftovers import wait_until_no_process
from tests.helpers.program import Program, build_arguments
from tests.helpers.repositories import Repository
from tests.helpers.sshd import LISTS, PROGRAMS, SshServer, make_key, with_ssh_add


@pytest.fixture(autouse=True)
def _needs_openssh() -> None:
    need_programs(PROGRAMS)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """The socket of an agent of the user's, with one key."""
    key, path = make_key(tmp_path / "mine"), tmp_path / "agent"
    command = ["ssh-agent", "-a", os.fspath(path), "sh", "-c", 'ssh-add -q "$0" && echo up && read -r end', key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield path


def test_a_step_lists_the_keys_of_the_users_agent_and_removes_none(
    program: Program, tmp_path: Path, agent: Path
) -> None:
    context = with_ssh_add(tmp_path / "context")
    built = program.build(context, f"--ssh=default={agent}")
    assert " mine (ED25519)" in built.printed
    shown = subprocess.run(["ssh-add", "-l"], env={**os.environ, "SSH_AUTH_SOCK": str(agent)}, check=False)
    assert shown.returncode == 0


def test_a_step_lists_the_keys_that_are_given_as_files(program: Program, tmp_path: Path) -> None:
    one, two = make_key(tmp_path / "one"), make_key(tmp_path / "two")
    context = with_ssh_add(tmp_path / "context", LISTS.replace("type=ssh", "type=ssh,id=work"))
    built = program.build(context, f"--ssh=work={one},{two}")
    assert built.printed.count("(ED25519)") == 2
    assert wait_until_no_process("pybuild-ssh-") == []


def test_keys_that_cannot_be_used_are_refused_before_anything_is_built(program: Program, tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", "secret")
    context = write_context(tmp_path / "context", {"Dockerfile": LISTS})
    built = program.build(context, f"--ssh=default={locked}", check=False)
    assert built.exit_code == 2
    assert built.printed == (
        f"ERROR: invalid --ssh: {locked} is protected by a passphrase\n"
        "hint: add it to your own agent with ssh-add, and use --ssh default\n"
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = Repository(tmp_path / "served")
    made.commit({"Dockerfile": "FROM small\nCOPY file /\n", "file": "of the repository\n"})
    return made.bare


@pytest.mark.parametrize("address", ["root@127.0.0.1:{path}", "ssh://root@127.0.0.1{path}"])
def test_a_context_and_an_add_come_from_git_over_ssh(
    program: Program, tmp_path: Path, repository: Path, address: str
) -> None:
    server = SshServer.made(tmp_path / "server")
    url = address.format(path=repository)
    result = server.run(program, ["build", f"--ssh=default={server.key}", "-t", "built", url])
    assert result.returncode == 0, result.stderr
    text = f"FROM small\nADD {url} /added/\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    result = server.run(program, build_arguments(context, [f"--ssh=default={server.key}"], "added"))
    assert result.returncode == 0, result.stderr
    assert program.run("run", "--rm", "built", "cat", "/file").stdout == "of the repository\n"
    assert program.run("run", "--rm", "added", "cat", "/added/file").stdout == "of the repository\n"


def test_what_ssh_refuses_is_told_with_the_way_out(program: Program, tmp_path: Path, repository: Path) -> None:
    url = f"root@127.0.0.1:{repository}"
    server = SshServer.made(tmp_path / "server")
    result = server.run(program, ["build", url])
    assert (result.returncode, "hint: use --ssh default to give it a key or an agent" in result.stderr) == (1, True)
    stranger = SshServer.made(tmp_path / "stranger", known=False)
    result = stranger.run(program, ["build", f"--ssh=default={stranger.key}", url])
    assert (result.returncode, "hint: verify the keys that ssh-keyscan 127.0.0.1 prints" in result.stderr) == (1, True)
