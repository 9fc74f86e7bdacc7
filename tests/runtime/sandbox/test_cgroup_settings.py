"""Limits in the words of both hierarchies of control groups."""

import pytest

from pybuild.runtime.sandbox.cgroup_settings import limits_asked, settings
from pybuild.runtime.sandbox.spec import ResourceLimits


@pytest.mark.parametrize(
    ("limits", "unified", "older"),
    [
        (ResourceLimits(), [], []),
        (
            ResourceLimits(memory=4096),
            [("memory", "memory.max", "4096")],
            [("memory", "memory.limit_in_bytes", "4096")],
        ),
        (ResourceLimits(pids=7), [("pids", "pids.max", "9")], [("pids", "pids.max", "9")]),
        (ResourceLimits(cpu_shares=1024), [("cpu", "cpu.weight", "39")], [("cpu", "cpu.shares", "1024")]),
        (ResourceLimits(cpu_shares=1), [("cpu", "cpu.weight", "1")], [("cpu", "cpu.shares", "2")]),
        (ResourceLimits(cpu_shares=10**9), [("cpu", "cpu.weight", "10000")], [("cpu", "cpu.shares", "262144")]),
        (
            ResourceLimits(cpu_quota=50_000),
            [("cpu", "cpu.max", "50000 100000")],
            [("cpu", "cpu.cfs_period_us", "100000"), ("cpu", "cpu.cfs_quota_us", "50000")],
        ),
    ],
)
def test_a_limit_in_both_hierarchies(limits: ResourceLimits, unified: list[object], older: list[object]) -> None:
    assert list(settings(limits, unified=True)) == unified
    assert list(settings(limits, unified=False)) == older


def test_swap_alone_is_what_is_beyond_the_memory_in_the_unified_hierarchy() -> None:
    limits = ResourceLimits(memory=100, memory_swap=150)
    assert list(settings(limits, unified=True))[-1] == ("memory", "memory.swap.max", "50")
    assert list(settings(limits, unified=False))[-1] == ("memory", "memory.memsw.limit_in_bytes", "150")
    assert list(settings(ResourceLimits(memory=1, memory_swap=-1), unified=True))[-1][2] == "max"


def test_a_disk_has_limits_of_its_own_and_weights_a_range() -> None:
    limits = ResourceLimits(throttles=(("write_bps", "8:16", 5, "/dev/sdb"),), blkio_weight=1000)
    assert [*settings(limits, unified=True)] == [
        ("io", "io.weight", "default 10000"),
        ("io", "io.max", "8:16 wbps=5"),
    ]
    assert [*settings(limits, unified=False)] == [
        ("blkio", "blkio.weight", "1000"),
        ("blkio", "blkio.throttle.write_bps_device", "8:16 5"),
    ]


def test_what_the_unified_hierarchy_lacks_is_asked_for_all_the_same() -> None:
    limits = ResourceLimits(oom_kill_disable=True, swappiness=5, memory_reservation=7)
    assert [name for _, name, _ in settings(limits, unified=True)] == ["memory.low"]
    assert limits_asked(limits) == ("memory-reservation", "memory-swappiness", "oom-kill-disable")
