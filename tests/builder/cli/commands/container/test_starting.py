"""Starting containers: what happens at the same time, and what is left when the start fails."""

import socket

import pytest

from pybuild.builder.containers import starting
from pybuild.builder.containers.errors import ContainerError
from tests.builder.cli.conftest import Shop


def test_the_monitor_loads_while_the_network_is_joined(pen: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    begin, join = starting.spawn_monitor_process, starting.join
    monkeypatch.setattr(starting, "spawn_monitor_process", lambda: (order.append("monitor"), begin())[1])
    monkeypatch.setattr(starting, "join", lambda *given: (order.append("network"), join(*given))[1])
    assert pen.run("run", "-d", "--name", "one", "box", "sleep", "1000").code == 0
    assert order == ["monitor", "network"]


def test_a_monitor_whose_network_cannot_be_joined_ends(pen: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[socket.socket] = []
    begin = starting.spawn_monitor_process

    def kept() -> socket.socket:
        made = begin()
        begun.append(made.dup())
        return made

    def fail(*_given: object) -> int:
        begun[0].shutdown(socket.SHUT_WR)  # as the kernel does when the socket is not kept by this test
        raise ContainerError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(starting, "spawn_monitor_process", kept)
        patch.setattr(starting, "join", fail)
        failed = pen.run("run", "-d", "--name", "one", "box", "sleep", "1000")
    assert failed.code == 125
    assert "no network" in failed.err
    with begun[0] as channel:
        assert channel.recv(1) == b""  # it has ended
    # It held neither the lock nor the state.
    assert pen.run("start", "one").code == 0
    assert pen.run("exec", "one", "echo", "runs").out == "runs\n"
