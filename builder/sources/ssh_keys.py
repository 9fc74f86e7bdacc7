"""Private keys in files as agents: OpenSSH's own ssh-agent holds them for as long as a build runs.

The socket of the agent is in a private directory. The agent ends with the block, and also when the builder is killed:
a shell waits for the end of a pipe that only the builder holds open.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pybuild.builder.errors import RequestError
from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.paths.scratch import temporary

_LIMIT = 100 << 10
"""A longer file is not a key."""
_TOOLS = "install openssh-client, or name the socket of an agent"


@contextmanager
def key_agents(keys: Mapping[str, tuple[Path, ...]]) -> Iterator[tuple[tuple[str, Path], ...]]:
    """Yield (id, socket) of an agent for each id, with the keys in its files.

    Raises:
        RequestError: a file cannot be read, is not a private key, or is protected by a passphrase.
    """
    with ExitStack() as stack:
        yield tuple((name, stack.enter_context(_agent(paths))) for name, paths in keys.items())


@contextmanager
def _agent(paths: tuple[Path, ...]) -> Iterator[Path]:
    with temporary() as directory:
        socket = directory / "agent"
        with _start(socket):
            for path in paths:
                _add(path, socket)
            yield socket


@contextmanager
def _start(socket: Path) -> Iterator[None]:
    """Run an agent at *socket*, started by a shell that ends it when its standard input is closed."""
    script = 'echo started; read -r end; kill "$SSH_AGENT_PID"'
    try:
        process = subprocess.Popen(
            ["ssh-agent", "-a", os.fspath(socket), "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise RequestError("keys need ssh-agent, which is not installed", hint=_TOOLS) from error
    with process:
        if process.stdout is not None and not process.stdout.readline():
            reason = process.stderr.read().strip() if process.stderr is not None else ""
            raise RequestError(f"ssh-agent does not start: {reason[:300]}")
        yield


def _add(path: Path, socket: Path) -> None:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/dev/null",
        "LC_ALL": "C",
        "SSH_AUTH_SOCK": os.fspath(socket),
        "SSH_ASKPASS_REQUIRE": "never",
    }
    try:
        # Read here, not by ssh-add, which would check the mode of the file and look for a certificate beside it.
        result = subprocess.run(
            ["ssh-add", "-q", "-"],
            input=_content(path),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise RequestError("keys need ssh-add, which is not installed", hint=_TOOLS) from error
    if result.returncode:
        raise _refusal(path, result.stderr.decode("utf-8", "replace"))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise RequestError(f"invalid --ssh: {path}: {kernel_reason(error)}") from error
    if len(content) > _LIMIT:
        raise RequestError(f"invalid --ssh: {path} is too long for a key")
    return content


def _refusal(path: Path, said: str) -> RequestError:
    if "passphrase" in said:
        hint = "add it to your own agent with ssh-add, and use --ssh default"
        return RequestError(f"invalid --ssh: {path} is protected by a passphrase", hint=hint)
    return RequestError(f"invalid --ssh: {path} is neither a private key nor the socket of an agent")
