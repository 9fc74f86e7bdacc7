"""Which of the candidate origins of a registry is used."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pybuild.builder.oci.errors import RegistryUnavailable
from pybuild.builder.oci.registry.routes import Routes
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.failures import NO_CONNECTION
from pybuild.builder.oci.registry.wire.http import Timing
from pybuild.builder.oci.registry.wire.origin import Origin
from tests.helpers.registry import FakeRegistry

HOST = "127.0.0.1"
TIMING = Timing(connect=0.3, stall=5)


def routes(*ports: int) -> Routes:
    """Routes to https at the first port, and to http at the last."""
    origins = (Origin("https", HOST, ports[0]), Origin("http", HOST, ports[-1]))
    return Routes(origins, lambda _origin: Tls(), TIMING, lambda _origin: True)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that neither accepts nor refuses connections, as behind a firewall: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((HOST, 0))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_a_host_that_is_silent_is_waited_for_once(silent_port: int) -> None:
    with pytest.raises(RegistryUnavailable) as caught:
        routes(silent_port).settle()
    assert caught.value.code == NO_CONNECTION
    assert caught.value.hung


def test_http_may_answer_at_another_port_than_that_of_https(silent_port: int, server: FakeRegistry) -> None:
    port = int(server.name.rpartition(":")[2])
    assert routes(silent_port, port).settle() == Origin("http", HOST, port)
