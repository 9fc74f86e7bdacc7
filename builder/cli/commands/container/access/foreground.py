"""A container in the foreground: ``run``, ``start -a`` and ``attach`` show its output until it exits."""

import socket
from contextlib import suppress

from pybuild.builder.cli.failures import FAILED, Described, Failure
from pybuild.builder.cli.tools import note, pass_on
from pybuild.builder.containers.attachment import DETACH_KEYS, Attachment
from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.errors import ContainerError, NoSuchContainer
from pybuild.builder.containers.lifecycle import remove, take_down_networks, wait
from pybuild.builder.containers.starting import start
from pybuild.builder.errors import BuildError
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import ask
from pybuild.runtime.sandbox.signal_relay import SignalRelay
from pybuild.runtime.values import frozen

KEYS_HELP = "Keys that leave the container running (default: ctrl-p,ctrl-q)."
_NEVER = -1


@frozen
class Foreground:
    """How a container is shown.

    With *typed* standard input is passed to it, and with *relayed* the signals that this process gets. *keys* detach
    from it. *shown* are the streams that are shown: 1 is standard output, 2 standard error.
    """

    typed: bool
    keys: bytes = DETACH_KEYS
    shown: frozenset[int] = frozenset({1, 2})
    relayed: bool = True


def start_in_foreground(containers: Containers, container: StoredContainer, foreground: Foreground) -> int:
    """Start *container*, show it until it exits, and return its exit code; 0 when the user detached.

    Its networks are taken down when it exits, and with ``--rm`` it is removed. The monitor does so when this process is
    killed before.

    Raises:
        NotStarted: its process cannot be executed.
    """
    container.log_event("attach")
    asked = (messages.ATTACH + (b"i" if foreground.typed else b""), messages.TIDIES)
    try:
        channel = start(containers, container, asked)
    except (BuildError, RuntimeHostError):
        if container.config.host.auto_remove:
            remove(containers, container, volumes=True)
        raise
    if channel is None:
        raise ContainerError(f"cannot attach to container {container.name}: it runs already", hint="pybuild attach")
    with channel:
        code = show_until_exit(channel, container, foreground)
    if code is None:
        return 0
    _note_memory(container)
    if container.config.host.auto_remove:
        # A monitor whose container ended before it had read that this process does it removes the container itself.
        with suppress(NoSuchContainer):
            remove(containers, container, force=True, volumes=True)
    else:
        take_down_networks(container)
    return code


def _note_memory(container: StoredContainer) -> None:
    """Print a note when the kernel killed a process for lack of memory: the exit code is that of any kill."""
    if container.state.oom_killed:
        memory = container.config.host.limits.memory
        limit = f": memory is limited to {memory} bytes" if memory else ", for lack of memory"
        note(f"note: the kernel killed a process{limit}")


def show_until_exit(channel: socket.socket, container: StoredContainer, foreground: Foreground) -> int | None:
    """Show *container* until it exits, and return its exit code; None when the user detached.

    *channel* is the connection to the monitor of the container. The third request to end leaves the container running.

    Raises:
        Described: there was such a request.
    """
    typed, keys, terminal = foreground.typed, foreground.keys, container.config.program.tty

    def send(number: int) -> None:
        with suppress(RuntimeHostError):
            ask(container.directory, messages.SIGNAL + str(number).encode())

    def output(stream: int, data: bytes) -> None:
        if stream in foreground.shown:
            pass_on(stream, data)

    with (
        SignalRelay(_NEVER, give_up=_give_up) as signals,
        Attachment(channel, output, typed=typed, terminal=terminal, keys=keys) as it,
    ):
        if foreground.relayed:
            signals.connect(send)
        try:
            code = it.pump()
        except ConnectionError:
            return wait(container)
    if code is None:
        note("read escape sequence")
    return code


def _give_up() -> None:
    # The container may handle the signals that were passed on for good reasons: as in Docker, only the command ends.
    raise Described(Failure("\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n", FAILED))
