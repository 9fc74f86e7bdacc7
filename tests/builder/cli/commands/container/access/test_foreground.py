"""A container in the foreground, and signals of the command that shows it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pybuild.builder.cli.commands.container.access import foreground
from pybuild.builder.containers import starting
from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.lifecycle import remove
from tests.builder.cli.commands.container.conftest import until
from tests.builder.cli.conftest import Shop

STUBBORN = ("sh", "-c", "trap 'echo got' INT; echo ready; while :; do sleep 0.05; done")


@contextmanager
def started(pen: Shop, *words: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {"PATH": os.environ["PATH"], "PYBUILD_NETWORK": "host"}
    command = [sys.executable, "-m", "pybuild", "--root", str(pen.store.root), *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("removed", [(), ("--rm",)])
def test_the_third_interrupt_ends_the_command_and_leaves_the_container(pen: Shop, removed: tuple[str, ...]) -> None:
    with started(pen, "run", *removed, "--name", "one", "box", *STUBBORN) as process:
        assert said(process) == "ready\n"
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            assert said(process) == "got\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n"
    assert pen.run("ps", "--format", "{{.Names}} {{.State}}").out == "one running\n"
    assert pen.run("kill", "one").code == 0
    until(lambda: ("one" in pen.run("ps", "-a").out) == (not removed))


def test_signals_that_are_not_passed_on_count_as_well(pen: Shop) -> None:
    assert pen.run("run", "-d", "--name", "one", "box", *STUBBORN).code == 0
    until(lambda: pen.run("logs", "one").out == "ready\n")
    with started(pen, "attach", "--no-stdin", "--sig-proxy=false", "one") as process:
        until(lambda: caught(process.pid, signal.SIGUSR1))
        for number in range(3):
            process.send_signal(signal.SIGTERM if number else signal.SIGINT)
            until(lambda: not pending(process.pid))
        assert process.wait(60) == 1
    assert pen.run("ps", "--format", "{{.Names}} {{.State}}").out == "one running\n"
    assert pen.run("logs", "one").out == "ready\n"


def test_output_is_shown_when_the_container_ends_before_the_command_goes_on(
    pen: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = starting._start_monitor

    def late(containers: Containers, container: StoredContainer, *rest: Any) -> socket.socket:
        channel = started(containers, container, *rest)
        until(lambda: container.state.status == "exited")
        return channel

    monkeypatch.setattr(starting, "_start_monitor", late)
    assert pen.run("run", "--name", "one", "box", "echo", "x").out == "x\n"


def test_a_container_that_its_monitor_has_removed_is_no_failure(pen: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = foreground.show_until_exit

    def removed(channel: socket.socket, container: StoredContainer, how: foreground.Foreground) -> int | None:
        code = shown(channel, container, how)
        remove(Containers(pen.store), container, volumes=True)
        return code

    monkeypatch.setattr(foreground, "show_until_exit", removed)
    done = pen.run("run", "--rm", "--name", "one", "box", "sh", "-c", "exit 3")
    assert (done.code, done.err) == (3, "")


def caught(pid: int, number: int) -> bool:
    """Return whether the process has a handler of a signal: those of the relay are there then."""
    return bool(int(_field(pid, "SigCgt:"), 16) >> (number - 1) & 1)


def pending(pid: int) -> bool:
    return bool(int(_field(pid, "ShdPnd:") or "0", 16))


def _field(pid: int, name: str) -> str:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next((line.split()[1] for line in file if line.startswith(name)), "0")
