"""The builder's side of the fork server: one small process from which every sandbox child is forked.

To start Python takes longer than everything else that a sandbox needs; a fork of one that has imported its modules
takes a millisecond. The builder itself cannot be forked safely, because it has threads. The server ends when the
builder's end of their socket is closed, which the kernel does for a builder that is killed, and all sandboxes end with
the server.
"""

import atexit
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EPIPE
from pathlib import Path

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox.inside.plan import DEFAULT_RUN, EXPECT, RUN
from pybuild.runtime.sandbox.interpreter import BOOTSTRAP, child_argv, child_environment, interpreter
from pybuild.runtime.sandbox.isolation import is_chroot, is_single

# Held from a request to its answer: two threads at once could receive the answers of each other.
_LOCK = threading.Lock()
_SERVERS: dict[tuple[int, bool], "_Server"] = {}
_CHROOTED = Path(__file__).parents[1] / "chrooted" / "bootstrap.py"


def start(expected: int = 0) -> None:
    """Start the server unless it runs, without waiting for it.

    Until there have been *expected* more runs, it keeps a spare child ready for the next one.

    Raises:
        SandboxError: no process can be started.
    """
    with _LOCK, _sandbox_errors():
        _server().expect(expected)


def fork_child(descriptors: tuple[int, int, int, int, int], *, spare_fits: bool = False) -> int:
    """Fork a sandbox child with these as plan, status pipe and three streams; return a pidfd of it.

    With *spare_fits* the spare child takes the run, if there is one. That is for plans with the
    `plan.SandboxSettings.prepared_settings` of `plan.DEFAULT_SETTINGS` only.

    Raises:
        SandboxError: no process can be started.
    """
    with _LOCK, _sandbox_errors():
        return _server().fork(DEFAULT_RUN if spare_fits else RUN, descriptors)


def _server() -> "_Server":
    # Keyed by the process, because a fork of the builder must not use the server of its parent.
    own = os.getpid(), is_chroot()
    server = _SERVERS.get(own)
    if server is None or not server.lives():
        server = _SERVERS[own] = _Server()
    return server


def _script() -> Path:
    return _CHROOTED if is_chroot() else BOOTSTRAP


@contextmanager
def _sandbox_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SandboxError("start", "the sandbox child", error.errno or EPIPE) from error


class _Server:
    """The process and the socket to it."""

    def __init__(self) -> None:
        # One message for each request and answer, since a stream would not keep them apart.
        self._channel, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The kernel would close it as well, but Python warns of a socket that is still open at its end (-X dev).
        atexit.register(self._channel.close)
        with far_end:
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.posix_spawn(
                    f"/proc/self/fd/{interpreter()}",
                    child_argv(*(["supervised"] if is_single() else []), script=_script()),
                    child_environment(),
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, far_end.fileno(), 0),
                        *((os.POSIX_SPAWN_DUP2, null, stream) for stream in (1, 2)),
                    ],
                )
            finally:
                os.close(null)

    def lives(self) -> bool:
        """Return whether the process is alive: the kernel closes its end of the socket when it ends."""
        poller = select.poll()
        poller.register(self._channel, 0)
        return not poller.poll(0)

    def expect(self, runs: int) -> None:
        """Send the number of runs that are still expected."""
        if runs and not is_chroot():
            self._channel.send(EXPECT + b"%d" % runs)

    def fork(self, request: bytes, descriptors: tuple[int, int, int, int, int]) -> int:
        socket.send_fds(self._channel, [request], descriptors)
        message, received, _, _ = socket.recv_fds(self._channel, 64, 1)
        if not received:
            raise OSError(int(message or EPIPE), "the fork server could not fork")
        return received[0]
