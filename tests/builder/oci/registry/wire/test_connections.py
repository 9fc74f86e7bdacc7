"""Waiting for a server that is silent ends when the work is to stop."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Timing, Transport
from pybuild.runtime.stopping import stoppable


class Stopped(Exception):
    pass


class Silent:
    """A server that sends *said*, and then nothing. `left` is set when the client leaves before it is told to."""

    def __init__(self, said: bytes) -> None:
        self.heard, self.left = threading.Event(), threading.Event()
        self._said, self._listening = said, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        connected, _ = self._listening.accept()
        with connected:
            connected.recv(65536)
            connected.sendall(self._said)
            self.heard.set()
            # Shorter than the patience of a client, which leaves then anyway.
            connected.settimeout(20)
            try:
                connected.recv(1)
            except TimeoutError:
                return
            self.left.set()

    @contextmanager
    def serving(self) -> Iterator["Silent"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._thread.join()
            self._listening.close()


def stop_after(event: threading.Event) -> Callable[[], None]:
    def stop() -> None:
        if event.is_set():
            raise Stopped

    return stop


def test_a_server_that_does_not_answer_is_left_when_the_work_is_to_stop() -> None:
    transport = Transport(lambda _origin: Tls(), Timing())
    with Silent(b"").serving() as server:
        with stoppable(stop_after(server.heard)), pytest.raises(Stopped):
            transport.exchange("GET", server.url, {})
        transport.close()
    assert server.left.is_set()


def test_a_server_that_stalls_is_left_when_the_work_is_to_stop() -> None:
    transport, begun = Transport(lambda _origin: Tls(), Timing()), threading.Event()
    with Silent(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").serving() as server:
        with stoppable(stop_after(begun)), transport.exchange("GET", server.url, {}) as reply:
            pieces = reply.pieces()
            assert next(pieces) == b"half"
            begun.set()
            with pytest.raises(Stopped):
                next(pieces)
        transport.close()
    assert server.left.is_set()


def test_a_server_that_answers_is_not_disturbed() -> None:
    transport = Transport(lambda _origin: Tls(), Timing())
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfull"
    with Silent(said).serving() as server, stoppable(lambda: None):
        with transport.exchange("GET", server.url, {}) as reply:
            assert b"".join(reply.pieces()) == b"full"
        transport.close()
