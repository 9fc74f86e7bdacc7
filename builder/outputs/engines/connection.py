"""HTTP to a Docker daemon, over a Unix socket, TCP or TLS; one connection for each request."""

import http.client
import json
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pybuild.builder.errors import LoadFailed, reason
from pybuild.builder.outputs.engines.address import Address
from pybuild.runtime import stopping

_CONNECT = 10.0
_POLL = 0.2
_ANSWER_LIMIT = 16 << 20
_USUAL = 30.0

Sink = Callable[[bytes | memoryview], object]


class _Connection(http.client.HTTPConnection):
    """A connection whose socket is made by `_open`."""

    def __init__(self, address: Address) -> None:
        # HTTP wants a Host header; a daemon on a Unix socket ignores it.
        super().__init__(address.host or "docker", address.port or None)
        self._address = address

    def connect(self) -> None:
        """Connect to the daemon."""
        self.sock = _open(self._address)


def get(address: Address, path: str) -> Any:
    """Return the JSON document at *path*. Raises LoadFailed."""
    with _exchange(address, _USUAL) as connection:
        connection.request("GET", path)
        return _document(_answer(connection))


def post_archive(address: Address, path: str, write: Callable[[Sink], None]) -> list[dict[str, Any]]:
    """Send the archive that *write* writes to its argument, and return the messages of the daemon. Raises LoadFailed.

    The daemon answers when it has read and unpacked all, which may take minutes: only the caller ends this earlier.
    """
    with _exchange(address, None) as connection:
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", "application/x-tar")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        # A daemon that refuses the archive answers before it has read all of it, and then closes the connection.
        with suppress(BrokenPipeError, ConnectionResetError):
            write(lambda piece: _send_chunk(connection, piece))
            connection.send(b"0\r\n\r\n")
        _wait(connection.sock)
        return _messages(_answer(connection))


def _send_chunk(connection: http.client.HTTPConnection, piece: bytes | memoryview) -> None:
    stopping.check()
    if len(piece):
        connection.send(b"%x\r\n" % len(piece))
        connection.send(piece)
        connection.send(b"\r\n")


def _open(address: Address) -> socket.socket:
    with ExitStack() as stack:
        if address.socket:
            opened = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC))
            opened.settimeout(_CONNECT)
            opened.connect(address.socket)
        else:
            opened = stack.enter_context(socket.create_connection((address.host, address.port), _CONNECT))
        if address.tls is not None:
            context = _context(address.tls, verify=address.verify)
            opened = context.wrap_socket(opened, server_hostname=address.host)
        stack.pop_all()
        return opened


def _context(certificates: Path, *, verify: bool) -> ssl.SSLContext:
    authority, certificate = certificates / "ca.pem", certificates / "cert.pem"
    context = ssl.create_default_context(cafile=authority if authority.exists() else None)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate.exists():
        context.load_cert_chain(certificate, certificates / "key.pem")
    return context


@contextmanager
def _exchange(address: Address, timeout: float | None) -> Iterator[http.client.HTTPConnection]:
    """Connect for one request; what the connection raises becomes a LoadFailed that names the address."""
    connection = _Connection(address)
    try:
        connection.connect()
        connection.sock.settimeout(timeout)
    except (OSError, ValueError) as error:
        connection.close()
        raise LoadFailed(
            f"cannot connect to the Docker daemon at {address.text}: {_why(error)}", hint=_hint(error)
        ) from error
    try:
        yield connection
    except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
        raise LoadFailed(f"the Docker daemon at {address.text} failed: {_why(error)}") from error
    finally:
        connection.close()


def _why(error: Exception) -> str:
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return reason(error) or type(error).__name__


def _hint(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "the user must be in the group docker, or root"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "is it running? without --load the image is in pybuild's store alone, from where pybuild save takes it"
    return ""


def _wait(channel: socket.socket) -> None:
    """Return when there is an answer; meanwhile the work can be stopped."""
    while not select.select([channel], [], [], _POLL)[0]:
        stopping.check()


def _answer(connection: http.client.HTTPConnection) -> bytes:
    """Return the body of the answer. Raises LoadFailed for a failure, with the daemon's message."""
    response = connection.getresponse()
    body = response.read(_ANSWER_LIMIT)
    if response.status < 300:
        return body
    document = _document(body, default={})
    message = document.get("message") if isinstance(document, dict) else None
    raise LoadFailed(f"the Docker daemon refused: {message or f'{response.status} {response.reason}'}")


def _document(body: bytes, **default: Any) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        if default:
            return default["default"]
        raise LoadFailed("the Docker daemon answered with something else than JSON") from error


def _messages(body: bytes) -> list[dict[str, Any]]:
    found = [_document(line) for line in body.splitlines() if line.strip()]
    return [item for item in found if isinstance(item, dict)]
