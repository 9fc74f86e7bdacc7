"""A health check whose command cannot be started; others are in the tests of containers."""

import errno
import os

from pybuild.runtime.monitor.health import HealthCheck
from pybuild.runtime.monitor.loop import Loop
from pybuild.runtime.monitor.settings import Health, HealthTimes


def test_a_check_that_cannot_be_started_has_failed_and_leaves_nothing_open() -> None:
    def fork(_descriptors: tuple[int, ...]) -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    found: list[dict[str, object]] = []
    times = HealthTimes(interval=0, start_interval=0, start_period=0, timeout=1_000_000_000)
    check = HealthCheck(Loop(), Health(b"", 2, times), fork, found.append)
    before = os.listdir("/proc/self/fd")
    check.turn()
    check.turn()
    check.end()
    assert os.listdir("/proc/self/fd") == before
    assert [each["Status"] for each in found] == ["starting", "starting", "unhealthy"]
    log = found[-1]["Log"]
    assert isinstance(log, list)
    assert [entry["ExitCode"] for entry in log] == [-1, -1]
    assert log[0]["Output"] == "the check cannot be started: resource temporarily unavailable"
