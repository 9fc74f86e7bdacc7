import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pybuild.builder.errors import LoadFailed
from pybuild.builder.outputs.engines.address import Address, parse_address
from pybuild.builder.outputs.engines.connection import get, post_archive
from pybuild.runtime import stopping

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(
    answer: bytes, *, secured: ssl.SSLContext | None = None, held: threading.Event | None = None
) -> Iterator[str]:
    """A server that takes one request, or a part of it, gives *answer* and closes the connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            # A client that does not trust the certificate ends the connection.
            with (
                suppress(ssl.SSLError),
                connection,
                secured.wrap_socket(connection, server_side=True) if secured else connection as stream,
            ):
                stream.recv(1 << 16)
                if held:
                    held.wait(60)
                stream.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield str(listener.getsockname()[1])


def address(port: str) -> Address:
    return parse_address(f"tcp://127.0.0.1:{port}")


def test_a_document_over_tcp() -> None:
    with server(ANSWER) as port:
        assert get(address(port), "/version") == {}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", "failed: IncompleteRead|something else than JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwhat", "something else than JSON"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "refused: 403 Forbidden"),
        (b'HTTP/1.1 400 Bad\r\nContent-Length: 18\r\n\r\n{"message":"never"}'[:-1] + b"}", "refused"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "failed"),
    ],
)
def test_what_is_no_good_answer_is_a_failure_of_the_daemon(answer: bytes, problem: str) -> None:
    with server(answer) as port, pytest.raises(LoadFailed, match=problem):
        get(address(port), "/version")


def test_a_wait_for_the_daemon_can_be_stopped() -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    held = threading.Event()
    with server(ANSWER, held=held) as port, pytest.raises(Stopped), stopping.stoppable(stop):
        post_archive(address(port), "/images/load", lambda _sink: None)
    held.set()


def test_tls_checks_the_certificate(tmp_path: Path) -> None:
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=d".split()
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{tmp_path}/k", "-out", f"{tmp_path}/ca.pem"]
    subprocess.run(words, check=True, capture_output=True)
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured.load_cert_chain(tmp_path / "ca.pem", tmp_path / "k")
    with server(ANSWER, secured=secured) as port:
        assert get(parse_address(f"tcp://127.0.0.1:{port}", tls=tmp_path), "/") == {}
    (tmp_path / "empty").mkdir()
    with server(ANSWER, secured=secured) as port, pytest.raises(LoadFailed, match="certificate"):
        get(parse_address(f"tcp://127.0.0.1:{port}", tls=tmp_path / "empty"), "/")
    with server(ANSWER, secured=secured) as port:
        assert get(parse_address(f"tcp://127.0.0.1:{port}", tls=tmp_path / "empty", verify=False), "/") == {}
