"""The SSH agent of a step: a socket that forwards two kinds of requests to the user's agent and refuses all others.

A step may list the keys and have data signed, which is what ssh needs. It cannot add or remove keys, lock the agent or
use its extensions. Messages are those of draft-ietf-sshm-ssh-agent, section 3: a length of four bytes, a type of one
byte, and the content.
"""

import os
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybuild.builder.plan.ops import SshMount

_REQUEST_IDENTITIES, _SIGN_REQUEST = 11, 13
_ALLOWED = (_REQUEST_IDENTITIES, _SIGN_REQUEST)
_FAILURE = b"\0\0\0\1\5"
_LONGEST = 256 << 10  # the limit of OpenSSH's agent
_PATIENCE = 60.0
"""Seconds for one message: an agent may have to ask its user for confirmation."""


@contextmanager
def agent_socket(agent: Path, mount: SshMount, directory: Path) -> Iterator[Path]:
    """Serve a socket in a new directory below *directory* while the block runs; *mount* says its owner and mode.

    *agent* is the socket of the user's agent.

    Raises:
        OSError: the socket cannot be created.
    """
    own = tempfile.mkdtemp(prefix="ssh-", dir=directory)
    try:
        handle = os.open(own, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Names of sockets have at most 107 bytes (sun_path); the path of a store may be longer.
            server = _Server(f"/proc/self/fd/{handle}/agent", agent)
        finally:
            os.close(handle)
        with server, _serving(server):
            path = Path(own, "agent")
            os.chown(path, mount.uid, mount.gid)
            path.chmod(0o600 if mount.mode is None else mount.mode)
            yield path
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    # `shutdown` takes up to one interval, and each step with an agent would wait for the default of half a second.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, agent: Path) -> None:
        self.agent = agent
        super().__init__(path, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer the requests of one connection until it ends or sends an invalid message."""
        # If the step closes the connection, or the agent is gone, the connection ends without a message here: ssh has
        # one.
        with suppress(OSError), socket.socket(socket.AF_UNIX) as agent:
            self.request.settimeout(_PATIENCE)
            agent.settimeout(_PATIENCE)
            agent.connect(os.fspath(self.server.agent))
            while message := _read_message(self.request):
                if message[0] not in _ALLOWED:
                    self.request.sendall(_FAILURE)
                    continue
                agent.sendall(_framed(message))
                self.request.sendall(_framed(_read_message(agent)))


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def _read_message(source: socket.socket) -> bytes:
    """Read one message; return an empty one at the end of the connection, and when the length is not allowed."""
    length = int.from_bytes(_read_exactly(source, 4), "big")
    return _read_exactly(source, length) if length <= _LONGEST else b""


def _read_exactly(source: socket.socket, length: int) -> bytes:
    """Read *length* bytes; return none when the connection ends before that."""
    data = bytearray()
    while len(data) < length:
        piece = source.recv(min(length - len(data), 1 << 16))
        if not piece:
            return b""
        data += piece
    return bytes(data)
