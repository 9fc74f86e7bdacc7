"""Ports that a process forwards, here within one network namespace: this process stands for the network's first."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.kernel.passing import receive
from pybuild.runtime.shared_networks.forwarder_client import Forwarded, forward
from pybuild.runtime.values import replace
from tests.helpers.hosts import need_root
from tests.helpers.waiting import PATIENCE

LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Use:
    """A use of a network: what keeps it, and its namespace."""

    users: int
    space: int


@pytest.fixture
def use(tmp_path: Path) -> Iterator[Use]:
    need_root()
    made = Use(users=os.open(tmp_path, os.O_RDONLY), space=os.open("/proc/self/ns/net", os.O_RDONLY))
    yield made
    os.close(made.users)
    os.close(made.space)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind((LOCAL, 0))
        return int(one.getsockname()[1])


def listener(kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.settimeout(PATIENCE)
    made.bind((LOCAL, 0))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


@contextmanager
def forwarded(use: Use, protocol: str, inner: int) -> Iterator[int]:
    """Forward a free port to *inner*; yield it."""
    outer = free_port(socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
    each = Forwarded(protocol=protocol, host_ip=LOCAL, host_port=outer, ip=LOCAL, port=inner)
    lifeline = forward(use.space, (use.users,), [each])
    try:
        yield outer
    finally:
        os.close(lifeline)


def connected(port: int) -> socket.socket:
    return socket.create_connection((LOCAL, port), PATIENCE)


def read_all(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


def test_a_connection_carries_much_in_both_directions_and_ends_one_after_the_other(use: Use) -> None:
    data = os.urandom(8 << 20)
    with (
        closing(listener()) as server,
        forwarded(use, "tcp", server.getsockname()[1]) as port,
        connected(port) as client,
    ):
        inner, _ = server.accept()
        with inner:
            inner.settimeout(PATIENCE)
            sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
            sender.start()
            assert read_all(inner) == data
            sender.join()
            # The client has ended its side, and still hears the other.
            answer = threading.Thread(target=lambda: (inner.sendall(data[::-1]), inner.shutdown(socket.SHUT_WR)))
            answer.start()
            assert read_all(client) == data[::-1]
            answer.join()


def test_a_slow_reader_is_waited_for_without_delay_for_others(use: Use) -> None:
    data = bytes(6 << 20)
    with (
        closing(listener()) as server,
        forwarded(use, "tcp", server.getsockname()[1]) as port,
        connected(port) as slow,
        connected(port) as quick,
    ):
        inner_slow, _ = server.accept()
        inner_quick, _ = server.accept()
        sender = threading.Thread(target=lambda: (inner_slow.sendall(data), inner_slow.close()))
        sender.start()
        inner_quick.sendall(b"quick")
        assert quick.recv(5) == b"quick"
        assert read_all(slow) == data
        sender.join()
        inner_quick.close()
        assert quick.recv(1) == b""


def test_a_port_where_nobody_listens_inside_resets_the_connection(use: Use) -> None:
    with forwarded(use, "tcp", free_port()) as port, connected(port) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_datagrams_find_back_to_each_client(use: Use) -> None:
    with closing(listener(socket.SOCK_DGRAM)) as server, forwarded(use, "udp", server.getsockname()[1]) as port:
        clients = [listener(socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.sendto(f"ask {number}".encode(), (LOCAL, port))
        for _ in clients:
            text, sender = server.recvfrom(100)
            server.sendto(text.replace(b"ask", b"answer"), sender)
        assert [client.recv(100) for client in clients] == [b"answer 0", b"answer 1", b"answer 2"]
        for client in clients:
            client.close()


def test_the_port_is_given_back_and_connections_end_with_the_lifeline(use: Use) -> None:
    with closing(listener()) as server:
        with forwarded(use, "tcp", server.getsockname()[1]) as port, connected(port) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
        with connected_refused(port):
            pass


@contextmanager
def connected_refused(port: int) -> Iterator[None]:
    """Wait until nobody listens at *port*."""
    for _ in range(1000):
        try:
            with connected(port) as client:
                client.settimeout(0.02)
                try:
                    client.recv(1)
                except (TimeoutError, ConnectionResetError):
                    continue
        except (ConnectionRefusedError, ConnectionResetError):
            yield
            return
    raise AssertionError(port)


def test_the_lifeline_keeps_the_use_of_the_network(use: Use) -> None:
    lifeline = forward(use.space, (use.users,), [])
    message, (kept,) = receive(lifeline, 1)
    assert message == b"use"
    assert os.path.sameopenfile(kept, use.users)
    os.close(kept)
    os.close(lifeline)


def test_the_process_has_no_capabilities_and_may_gain_none(use: Use) -> None:
    with (
        closing(listener()) as server,
        forwarded(use, "tcp", server.getsockname()[1]) as port,
        connected(port) as client,
    ):
        server.accept()[0].close()
        assert client.recv(1) == b""
        status = status_of_forwarder()
    found = {name: status[name] for name in ("CapEff", "CapPrm", "CapInh", "NoNewPrivs")}
    assert found == {"CapEff": "0" * 16, "CapPrm": "0" * 16, "CapInh": "0" * 16, "NoNewPrivs": "1"}


def status_of_forwarder() -> dict[str, str]:
    """What the kernel says of the youngest forwarder that this process has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    running = [pid for pid in children if b"forwarder.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    lines = Path(f"/proc/{running[-1]}/status").read_text(encoding="ascii").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("inner", ["127.0.0.1", "::1"])
def test_a_port_of_ipv6_leads_to_an_address_of_either_version(use: Use, inner: str) -> None:
    family = socket.AF_INET6 if ":" in inner else socket.AF_INET
    with socket.create_server((inner, 0), family=family) as server, socket.socket(family, socket.SOCK_DGRAM) as taker:
        taker.bind((inner, 0))
        wanted = [
            Forwarded(protocol=protocol, host_ip="::1", host_port=0, ip=inner, port=one.getsockname()[1])
            for protocol, one in (("tcp", server), ("udp", taker))
        ]
        wanted = [replace(each, host_port=free_port6(each.protocol)) for each in wanted]
        lifeline = forward(use.space, (), wanted)
        with socket.create_connection(("::1", wanted[0].host_port), PATIENCE) as client:
            client.sendall(b"to the container")
            with server.accept()[0] as accepted:
                assert accepted.recv(100) == b"to the container"
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.sendto(b"question", ("::1", wanted[1].host_port))
            question, whence = taker.recvfrom(100)
            taker.sendto(question + b" answered", whence)
            assert client.recv(100) == b"question answered"
        os.close(lifeline)


def free_port6(protocol: str) -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM) as one:
        one.bind(("::1", 0))
        return int(one.getsockname()[1])


def test_a_port_of_ipv6_leaves_that_of_ipv4_to_others(use: Use) -> None:
    port = free_port6("tcp")
    lifeline = forward(use.space, (), [Forwarded(protocol="tcp", host_ip="::", host_port=port, ip="::1", port=1)])
    with socket.create_server((LOCAL, port)):
        pass
    os.close(lifeline)


def test_what_cannot_be_forwarded_is_named(use: Use) -> None:
    with closing(listener()) as taken:
        port = taken.getsockname()[1]
        each = Forwarded(protocol="tcp", host_ip=LOCAL, host_port=port, ip=LOCAL, port=1)
        with pytest.raises(RuntimeHostError, match=f"Bind for 127.0.0.1:{port} failed: address already in use"):
            forward(use.space, (), [each])
    with pytest.raises(RuntimeHostError, match="ports of sctp are published by root only"):
        forward(use.space, (), [Forwarded(protocol="sctp", host_ip="", host_port=9, ip=LOCAL, port=1)])
