"""A start of a container that fails before there is a keeper, or unseen; others are in `test_monitor`."""

import errno
import os
import select
import time
from pathlib import Path

import pytest

from pybuild.runtime.monitor.attempt import NOT_STARTED, Attempt, SandboxNeighbours
from pybuild.runtime.monitor.loop import Loop
from pybuild.runtime.monitor.streams import Streams
from pybuild.runtime.records import encode, memory_file
from pybuild.runtime.sandbox.inside.namespaces import JoinedNamespaces
from pybuild.runtime.sandbox.inside.plan import NULL
from pybuild.runtime.sandbox.launcher import make_plan
from pybuild.runtime.sandbox.spec import Process, Spec
from tests.helpers.waiting import PATIENCE
from tests.runtime.sandboxes import Image


def alone() -> SandboxNeighbours:
    around = SandboxNeighbours.__new__(SandboxNeighbours)
    around.joined, around.groups, around.killed = JoinedNamespaces(), (), ()
    return around


def test_a_start_without_processes_is_refused_and_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    ended: list[tuple[int, str]] = []
    started: list[int] = []
    plan = os.memfd_create("plan")
    before = os.listdir("/proc/self/fd")
    loop = Loop()
    streams = Streams(loop, NULL, lambda *_: None, lambda: None)
    Attempt(loop, plan, streams, started.append, lambda code, reason: ended.append((code, reason)), around=alone())
    while not ended:
        loop.turn(10_000)
    assert os.listdir("/proc/self/fd") == before
    assert not started
    assert ended == [(NOT_STARTED, "cannot start the container: resource temporarily unavailable")]
    os.close(plan)


def test_a_refusal_that_is_heard_only_after_the_end_of_all_processes_is_told(image: Image) -> None:
    ended: list[tuple[int, str]] = []
    spec = Spec(root=image.root, process=Process(args=("nothing",), env=image.env))
    plan = memory_file(encode(make_plan(spec, ())))
    loop = Loop()
    streams = Streams(loop, NULL, lambda *_: None, lambda: None)
    attempt = Attempt(loop, plan, streams, lambda _: None, lambda *outcome: ended.append(outcome), around=alone())
    poller = select.poll()
    poller.register(attempt._status, 0)
    assert poller.poll(PATIENCE * 1000)
    while not ended:
        loop.turn(10_000)
    assert ended == [(127, 'exec: "nothing": executable file not found in $PATH')]
    os.close(plan)


def attempted(image: Image, around: SandboxNeighbours) -> tuple[list[int], list[tuple[int, str]]]:
    """Run `true` to its end; return the processes that were started, and how they ended."""
    started: list[int] = []
    ended: list[tuple[int, str]] = []
    plan = memory_file(encode(make_plan(Spec(root=image.root, process=Process(args=("true",), env=image.env)), ())))
    loop = Loop()
    streams = Streams(loop, NULL, lambda *_: None, lambda: None)
    Attempt(loop, plan, streams, started.append, lambda *outcome: ended.append(outcome), around=around)
    while not ended:
        loop.turn(10_000)
    os.close(plan)
    return started, ended


def test_a_keeper_that_was_frozen_while_it_ended_is_thawed(image: Image, tmp_path: Path) -> None:
    around = alone()
    around.groups = (os.fsencode(tmp_path),)
    (tmp_path / "cgroup.freeze").write_text("1")
    assert attempted(image, around)[1] == [(0, "")]
    assert (tmp_path / "cgroup.freeze").read_text() == "0"


def test_nothing_is_started_by_a_keeper_whose_monitor_has_died(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    fork, here = os.fork, os.getpid()

    def orphaned() -> int:
        """Fork a process that has lost its parent when it goes on."""
        child = fork()
        if child or os.getppid() != here:
            return child
        between = os.getpid()
        if fork():
            os._exit(0)
        while os.getppid() == between:
            time.sleep(0.001)
        return 0

    monkeypatch.setattr(os, "fork", orphaned)
    started, ended = attempted(image, alone())
    assert not started
    assert ended == [(137, "")]
