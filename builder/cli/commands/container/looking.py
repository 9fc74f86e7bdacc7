"""A container is started, or not, and its output shown until it ends: what ``run``, ``start -a`` and ``attach`` do."""

import socket
from contextlib import suppress

from pybuild.builder.cli.commands.container.opened import pass_on
from pybuild.builder.cli.tools import note
from pybuild.builder.containers.attached import Attachment
from pybuild.builder.containers.directory import Containers, StoredContainer
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.lifecycle import let_go, remove, wait
from pybuild.builder.containers.starting import start
from pybuild.builder.errors import BuildError
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import ask
from pybuild.runtime.sandbox.relay import SignalRelay

KEYS_HELP = "Keys that leave the container running (default: ctrl-p,ctrl-q)."
_NEVER = -1


def look(
    containers: Containers,
    container: StoredContainer,
    *,
    typed: bool,
    keys: bytes,
    shown: frozenset[int] = frozenset({1, 2}),
    relayed: bool = True,
) -> int:
    """Start *container*, show the streams that are *shown*, and return its exit code.

    One that is to be removed at its end is removed by us, and by its monitor if we die before.

    Raises:
        NotStarted: its process cannot be executed.
    """
    removes = container.config.host.auto_remove
    container.tell("attach")

    def prepare(channel: socket.socket) -> None:
        channel.send(messages.ATTACH + (b"i" if typed else b""))
        if removes:
            channel.send(messages.REMOVES)

    try:
        channel = start(containers, container, prepare)
    except (BuildError, RuntimeHostError):
        if removes:
            remove(containers, container, volumes=True)
        raise
    if channel is None:
        raise ContainerError(f"cannot attach to container {container.name}: it runs already", hint="pybuild attach")
    with channel:
        code = shown_to_its_end(channel, container, typed=typed, keys=keys, shown=shown, relayed=relayed)
    if code is None:
        return 0
    if removes:
        remove(containers, container, force=True, volumes=True)
    else:
        let_go(container)
    return code


def shown_to_its_end(
    channel: socket.socket,
    container: StoredContainer,
    *,
    typed: bool,
    keys: bytes,
    shown: frozenset[int] = frozenset({1, 2}),
    relayed: bool = True,
) -> int | None:
    """Show a container behind *channel* until it ends, and return its exit code; None when the user detached."""
    terminal = container.config.program.tty

    def send(number: int) -> None:
        with suppress(RuntimeHostError):
            ask(container.directory, messages.SIGNAL + str(number).encode())

    def output(stream: int, data: bytes) -> None:
        if stream in shown:
            pass_on(stream, data)

    with SignalRelay(_NEVER) as signals, Attachment(channel, output, typed=typed, terminal=terminal, keys=keys) as it:
        if relayed:
            signals.connect(send)
        try:
            code = it.pump()
        except ConnectionError:
            return wait(container)
    if code is None:
        note("read escape sequence")
    return code
