"""One direction of a forwarded connection; the rest is tested in `test_forwarder_client`."""

import os
import socket

import pytest

from pybuild.runtime.shared_networks.forwarder import _Flow


def test_what_a_sink_does_not_take_waits_and_the_end_comes_after_it() -> None:
    (client, source), (sink, server) = socket.socketpair(), socket.socketpair()
    with client, source, sink, server:
        for each in (source, sink, client):
            each.setblocking(False)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        data = os.urandom(50_000)
        assert client.send(data) == len(data)
        client.shutdown(socket.SHUT_WR)
        flow, taken = _Flow(source, sink), b""
        with pytest.raises(BlockingIOError):
            flow.move()
        assert flow.waiting
        assert not flow.written_all
        while not flow.written_all:
            taken += server.recv(1 << 16)
            try:
                flow.move()
            except BlockingIOError:
                continue
        while piece := server.recv(1 << 16):
            taken += piece
        assert taken == data
