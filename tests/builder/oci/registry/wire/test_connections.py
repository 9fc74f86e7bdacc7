"""Waiting for a server that is silent ends when the work is to stop."""

import threading
from collections.abc import Callable

import pytest

from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Timing, Transport
from pybuild.runtime.stopping import stoppable
from tests.helpers.silent import Silent


class Stopped(Exception):
    pass


def stop_after(event: threading.Event) -> Callable[[], None]:
    def stop() -> None:
        if event.is_set():
            raise Stopped

    return stop


def test_a_server_that_does_not_answer_is_left_when_the_work_is_to_stop() -> None:
    transport = Transport(lambda _origin: Tls(), Timing())
    with Silent() as server:
        with stoppable(stop_after(server.heard)), pytest.raises(Stopped):
            transport.exchange("GET", server.url, {})
        transport.close()
    assert server.left.is_set()


def test_a_server_that_stalls_is_left_when_the_work_is_to_stop() -> None:
    transport, begun = Transport(lambda _origin: Tls(), Timing()), threading.Event()
    with Silent(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") as server:
        with stoppable(stop_after(begun)), transport.exchange("GET", server.url, {}) as reply:
            pieces = reply.pieces()
            assert next(pieces) == b"half"
            begun.set()
            with pytest.raises(Stopped):
                next(pieces)
        transport.close()
    assert server.left.is_set()


def test_a_server_that_answers_is_not_disturbed_before_the_connections_are_closed() -> None:
    transport = Transport(lambda _origin: Tls(), Timing())
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfull"
    with Silent(said) as server, stoppable(lambda: None):
        with transport.exchange("GET", server.url, {}) as reply:
            assert b"".join(reply.pieces()) == b"full"
        assert not server.left.is_set()
        transport.close()
    assert server.left.is_set()
