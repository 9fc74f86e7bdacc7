"""The messages of builder and worker: values of Python behind their length, on a stream socket.

Both ends are processes of one user, and the socket has no name: nobody else can write to it. So the values are pickled.
"""

import fcntl
import os
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

_LENGTH = struct.Struct("!Q")


class WorkerSetup(NamedTuple):
    """The first message to the worker: how it finds modules, and which ones it will need soon.

    With *joins* a descriptor follows: the user namespace that it enters in place of a new one.
    """

    import_paths: tuple[str, ...]
    modules: tuple[str, ...]
    joins: bool = False


class WorkerReady(NamedTuple):
    """The worker's answer when it is where it should be: what tells its user namespace from others."""

    namespace: tuple[int, int]


class WorkerCall(NamedTuple):
    """A function of a module, and what to call it with behind a listener; it has the caller's surroundings."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    descriptors: tuple[int, ...]
    """Numbers that descriptors have which follow on the socket; there they have the same."""
    directory: str
    environment: dict[str, str]


class WorkerEvent(NamedTuple):
    """An event of a function that runs."""

    event: Any


class WorkerAnswer(NamedTuple):
    """What it returns."""

    value: Any


class WorkerFailure(NamedTuple):
    """An exception on its way: made anew from what it holds, because constructors take what they like."""

    kind: type[BaseException]
    arguments: tuple[Any, ...]
    state: dict[str, Any]
    cause: "WorkerFailure | None" = None

    @classmethod
    def of(cls, error: BaseException) -> "WorkerFailure":
        """Return *error* with its causes; what of it cannot cross stays behind."""
        arguments: tuple[Any, ...] = error.args
        if isinstance(error, OSError):
            # Its own attributes are no part of the state; five arguments set all of them.
            arguments = (error.errno, error.strerror, error.filename, None, error.filename2)
        state = {name: item for name, item in error.__dict__.items() if _crosses(item)}
        kind = type(error) if _crosses(type(error)) else RuntimeError
        cause = error.__cause__
        return cls(kind, tuple(filter(_crosses, arguments)), state, None if cause is None else cls.of(cause))

    def error(self) -> BaseException:
        """Return the exception."""
        made = self.kind.__new__(self.kind, *self.arguments)
        made.args = self.arguments[:2] if isinstance(made, OSError) else self.arguments
        made.__dict__.update(self.state)
        made.__cause__ = None if self.cause is None else self.cause.error()
        return made


def _crosses(value: object) -> bool:
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def send(channel: socket.socket, message: object) -> None:
    """Send *message*, all of it."""
    data = pickle.dumps(message)
    channel.sendall(_LENGTH.pack(len(data)) + data)


def receive(channel: socket.socket) -> Any:
    """Return the next message. Raises EOFError when the other end is closed."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return pickle.loads(_exactly(channel, length))  # noqa: S301 - see above: from nobody but ourselves


def send_descriptors(channel: socket.socket, descriptors: tuple[int, ...]) -> None:
    """Send copies of *descriptors*, if there are any."""
    if descriptors:
        socket.send_fds(channel, [b"1"], descriptors)


def receive_descriptors(channel: socket.socket, numbers: tuple[int, ...]) -> socket.socket:
    """Receive what `send_descriptors` sent, as these *numbers*; return the channel, which may have had one of them."""
    if not numbers:
        return channel
    _message, received, _flags, _address = socket.recv_fds(channel, 1, len(numbers))
    above = max((channel.fileno(), *numbers, *received)) + 1
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in (channel.detach(), *received)]
    for fd, number in zip(moved[1:], numbers, strict=True):
        os.dup2(fd, number, inheritable=False)
        os.close(fd)
    return socket.socket(fileno=moved[0])


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        part = channel.recv(min(length, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def peer_is_gone(error: OSError) -> bool:
    """Return whether *error* means that the other process has ended."""
    import errno

    return error.errno in {errno.EPIPE, errno.ECONNRESET}


def here() -> tuple[str, dict[str, str]]:
    """Return the working directory and the environment of this process."""
    return os.getcwd(), dict(os.environ)
