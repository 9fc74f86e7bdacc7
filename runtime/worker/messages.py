"""The messages of builder and worker: pickled values, each after its length, on a stream socket.

To unpickle is safe here, because both ends are processes of one user, and the socket has no name by which others could
write to it.
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
    """The first message to the worker: its import paths, and the modules that it imports ahead of the first call.

    With *joins* a descriptor follows, of the user namespace that it enters instead of making a new one.
    """

    import_paths: tuple[str, ...]
    modules: tuple[str, ...]
    joins: bool = False


class WorkerReady(NamedTuple):
    """The worker's answer when it is in its user namespace, with the `joining.identity` of that."""

    namespace: tuple[int, int]


class WorkerCall(NamedTuple):
    """A call of a function of a module, with the working directory and the environment of the caller."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    descriptors: tuple[int, ...]
    """The numbers, in both processes, of the descriptors that follow on the socket."""
    directory: str
    environment: dict[str, str]


class WorkerEvent(NamedTuple):
    """An event that a function has passed to its ``tell``."""

    event: Any


class WorkerAnswer(NamedTuple):
    """The value that a function has returned."""

    value: Any


class WorkerFailure(NamedTuple):
    """An exception that a function has raised, in parts that can be pickled.

    An exception itself often cannot: pickle calls its class with ``args``, and constructors may take other arguments.
    """

    kind: type[BaseException]
    arguments: tuple[Any, ...]
    state: dict[str, Any]
    cause: "WorkerFailure | None" = None

    @classmethod
    def of(cls, error: BaseException) -> "WorkerFailure":
        """Return the parts of *error* and of its causes, without those that cannot be pickled."""
        arguments: tuple[Any, ...] = error.args
        if isinstance(error, OSError):
            # errno, filename and the like are not in __dict__; the constructor sets them from five arguments.
            arguments = (error.errno, error.strerror, error.filename, None, error.filename2)
        state = {name: item for name, item in error.__dict__.items() if _is_picklable(item)}
        kind = type(error) if _is_picklable(type(error)) else RuntimeError
        cause = error.__cause__
        return cls(kind, tuple(filter(_is_picklable, arguments)), state, None if cause is None else cls.of(cause))

    def error(self) -> BaseException:
        """Return the exception, made from its parts without its constructor."""
        # OSError alone sets errno and the like in __new__, from the arguments.
        made = self.kind.__new__(self.kind, *self.arguments)
        made.args = self.arguments[:2] if isinstance(made, OSError) else self.arguments
        made.__dict__.update(self.state)
        made.__cause__ = None if self.cause is None else self.cause.error()
        return made


def _is_picklable(value: object) -> bool:
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def send(channel: socket.socket, message: object) -> None:
    """Send *message*."""
    data = pickle.dumps(message)
    channel.sendall(_LENGTH.pack(len(data)) + data)


def receive(channel: socket.socket) -> Any:
    """Return the next message. Raises EOFError when the other end is closed."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return pickle.loads(_exactly(channel, length))  # noqa: S301 - from a process of this user: see above


def send_descriptors(channel: socket.socket, descriptors: tuple[int, ...]) -> None:
    """Send copies of *descriptors*, if there are any."""
    if descriptors:
        socket.send_fds(channel, [b"1"], descriptors)


def receive_descriptors(channel: socket.socket, numbers: tuple[int, ...]) -> socket.socket:
    """Receive descriptors and give them these *numbers*. Return the channel, which is moved: it may have had one."""
    if not numbers:
        return channel
    _message, received, _flags, _address = socket.recv_fds(channel, 1, len(numbers))
    # By way of higher numbers: one of *numbers* may be that of another descriptor that has just been received.
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


def surroundings() -> tuple[str, dict[str, str]]:
    """Return the working directory and the environment of this process."""
    return os.getcwd(), dict(os.environ)
