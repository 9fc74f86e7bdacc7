"""A start of a container that fails before there is a keeper; others are in `test_monitor`."""

import errno
import os

import pytest

from pybuild.runtime.monitor.attempt import NOT_STARTED, Attempt, SandboxNeighbours
from pybuild.runtime.monitor.loop import Loop
from pybuild.runtime.monitor.streams import NULL, Streams


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
    around = SandboxNeighbours.__new__(SandboxNeighbours)  # of which only a keeper has a use
    around.killed = ()
    Attempt(loop, plan, streams, started.append, lambda code, reason: ended.append((code, reason)), around=around)
    while not ended:
        loop.turn(10_000)
    assert os.listdir("/proc/self/fd") == before
    assert not started
    assert ended == [(NOT_STARTED, "cannot start the container: resource temporarily unavailable")]
    os.close(plan)
