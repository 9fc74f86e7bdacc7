"""What commands use of this package: starting a monitor, and sending requests to that of a running container."""

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ESRCH
from pathlib import Path

from pybuild.runtime.errors import RuntimeHostError, SandboxError
from pybuild.runtime.kernel.passing import send
from pybuild.runtime.kernel.pidfd import leave
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.settings import MonitorSettings
from pybuild.runtime.records import encode
from pybuild.runtime.sandbox.interpreter import child_argv, child_environment, interpreter
from pybuild.runtime.values import frozen, replace

_CREDENTIALS = struct.Struct("iii")  # process, user, group
_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


class Refused(RuntimeHostError):
    """The process of a container could not be executed. *code* is the exit code that Docker has for the reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class NoMonitor(RuntimeHostError):
    """The container has no monitor, or one that has ended or is about to."""


@frozen
class MonitorDescriptors:
    """The descriptors that a monitor gets, and *process*, the socket of its process, if that has been spawned."""

    process: int | None = None
    channel: int
    """Where it writes what `await_start` waits for."""
    lock: int
    """The lock of its container, which it holds until it ends."""
    network: int | None = None
    """The network namespace that the container joins, if it does (`ContainerRun.joins`)."""
    lifeline: int | None = None
    """It is kept open until the monitor ends, if there is one."""
    owners: tuple[int, ...] = ()
    """pidfds of the first processes of the containers whose PID and IPC namespaces it joins."""

    @property
    def open(self) -> tuple[int, ...]:
        """Those that it gets."""
        optional = (fd for fd in (self.network, self.lifeline) if fd is not None)
        return self.channel, self.lock, *optional, *self.owners


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Return a new channel: the end of this process, and that of a monitor."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def spawn_monitor_process() -> socket.socket:
    """Start the process of a monitor, which loads its modules and waits for its settings. Return the socket to it.

    `launch_monitor` sends them. Without them the process ends when the socket is closed, and has done nothing.

    Raises:
        SandboxError: there can be no more processes.
    """
    ours, theirs = channel_pair()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        leave(
            os.posix_spawn(
                f"/proc/self/fd/{interpreter()}",
                child_argv(script=_BOOTSTRAP),
                child_environment(),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, fd, stream) for stream, fd in enumerate((theirs.fileno(), null, null))
                ],
                # So that it outlives the terminal, whose end sends SIGHUP to the processes of its session.
                setsid=True,
            )
        )
    except OSError as error:
        ours.close()
        raise SandboxError("start", "the monitor", error.errno or ESRCH) from error
    finally:
        os.close(null)
        theirs.close()
    return ours


def launch_monitor(settings: MonitorSettings, given: MonitorDescriptors) -> None:
    """Start a monitor with these *settings*. Its process is spawned first, if that has not been done.

    Raises:
        SandboxError: there can be no more processes.
    """
    if given.process is None:
        with spawn_monitor_process() as spawned:
            launch_monitor(settings, replace(given, process=spawned.fileno()))
        return
    file = os.memfd_create("settings", os.MFD_CLOEXEC)
    try:
        os.write(file, encode(settings))
        # The first five descriptors have fixed places: where one is missing, it is a second one of another.
        network = given.lock if given.network is None else given.network
        lifeline = file if given.lifeline is None else given.lifeline
        send(given.process, b"order", given.channel, file, given.lock, network, lifeline, *given.owners)
    except OSError as error:
        raise SandboxError("start", "the monitor", error.errno or ESRCH) from error
    finally:
        os.close(file)


def await_start(channel: socket.socket) -> None:
    """Wait until the program of a container has been executed.

    Raises:
        Refused: it cannot be executed.
        NoMonitor: the monitor has ended.
    """
    message = receive(channel)
    kind, text = message[:1], message[1:].decode(errors="replace")
    if kind == messages.REFUSED:
        code, _, reason = text.partition(" ")
        raise Refused(int(code), reason)
    if kind != messages.STARTED:
        raise NoMonitor("the monitor of the container ended")


def receive(channel: socket.socket) -> bytes:
    """Wait for the next message of a monitor, b"" when there will be none."""
    try:
        return channel.recv(messages.PIECE + 1)
    except ConnectionResetError:
        # The monitor ended before it had read all messages, which is reported once. What it sent can still be read.
        return channel.recv(messages.PIECE + 1)


@contextmanager
def connected(directory: Path) -> Iterator[socket.socket]:
    """Connect to the monitor of the container in *directory* for a block. Raises NoMonitor when there is none."""
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        try:
            # By the descriptor, because the address of a Unix socket has at most 107 bytes, and the path may be longer.
            channel.connect(f"/proc/self/fd/{place}/{messages.SOCKET}")
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise NoMonitor("the container does not run") from error
        finally:
            os.close(place)
        yield channel


def namespace_of(directory: Path) -> int:
    """Return a descriptor of the user namespace of the monitor of the container in *directory*.

    Raises:
        NoMonitor: there is none.
        RuntimeHostError: this process may not see it.
    """
    with connected(directory) as channel:
        # The process that called listen(2). It need not have accepted the connection yet.
        data = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid = _CREDENTIALS.unpack(data)[0]
        try:
            found = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if _has_ended(channel):
                raise NoMonitor("the monitor of the container ended") from error
            raise RuntimeHostError("its containers run where this process cannot enter") from error
        # While the monitor is connected it lives, so the number was not that of another process.
        if _has_ended(channel):
            os.close(found)
            raise NoMonitor("the monitor of the container ended")
        return found


def _has_ended(channel: socket.socket) -> bool:
    poller = select.poll()
    poller.register(channel, 0)
    return bool(poller.poll(0))


def ask(directory: Path, message: bytes) -> None:
    """Send the request *message* to the monitor of the container in *directory*, and wait until it is carried out.

    Raises:
        NoMonitor: there is none.
        RuntimeHostError: the monitor cannot do it; the error has its reason.
    """
    with connected(directory) as channel:
        _ask(channel, message)


def _ask(channel: socket.socket, message: bytes) -> None:
    try:
        channel.send(message)
        answer = receive(channel)
    except OSError:  # the monitor has ended before it answered
        answer = b""
    if answer[:1] == messages.FAILED:
        raise RuntimeHostError(answer[1:].decode(errors="replace"))
    if not answer:
        raise NoMonitor("the monitor of the container ended")


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep the monitor of the container in *directory*, if it has one, from starting it again during a block."""
    with ExitStack() as until_end:
        with suppress(NoMonitor, OSError):
            channel = until_end.enter_context(connected(directory))
            channel.send(messages.HOLD)
            # No signal, but an answer, after which the request has been seen. An older monitor that does not know the
            # request has this answer, too.
            _ask(channel, messages.SIGNAL + b"0")
        yield


def fork_inside(channel: socket.socket, descriptors: tuple[int, int, int, int, int]) -> int:
    """Ask the monitor behind *channel* to fork a process into its container; return a pidfd of it.

    It serves as the ``fork`` of `child.Child`, whose data is an encoded `settings.InsideCommand` then, and not a plan.
    Raises NoMonitor.
    """
    try:
        socket.send_fds(channel, [messages.EXECUTE], descriptors)
        _, received, _, _ = socket.recv_fds(channel, 64, 1)
    except OSError as error:
        raise NoMonitor("the monitor of the container ended") from error
    if not received:
        raise NoMonitor("the container does not run")
    return received[0]
