"""What the flags about the limits of steps make of their values."""

from typing import Any

import pytest

from pybuild.builder.cli.flags.limits import LimitFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Resources


def limits(**flags: Any) -> Resources:
    return LimitFlags(**flags).request()["resources"]


def test_limits_come_from_their_own_flags_and_from_resource() -> None:
    found = limits(shm_size="1g", memory="64m", ulimits=("nofile=10:20", "core=0"), resources=("pids=7,cpu-quota=9",))
    assert found == Resources(
        shm_size=1 << 30, memory=64 << 20, pids=7, cpu_quota=9, ulimits=(("nofile", 10, 20), ("core", 0, 0))
    )
    assert limits() == Resources()


def test_zero_is_no_limit() -> None:
    names = ("memory", "memory_swap", "cpu_shares", "cpu_period", "cpu_quota")
    assert limits(**dict.fromkeys(names, "0"), resources=("pids=0",)) == Resources()
    assert limits(memory="1g", memory_swap="0") == Resources(memory=1 << 30)


def test_resource_has_all_that_docker_has() -> None:
    given = ("memory=1g,memory-swap=2g,cpu-shares=512,cpu-period=7,cpu-quota=9", '"cpuset-cpus=0,1",cpuset-mems=0-1')
    assert limits(resources=given) == Resources(
        memory=1 << 30,
        memory_swap=2 << 30,
        cpu_shares=512,
        cpu_period=7,
        cpu_quota=9,
        cpuset_cpus="0,1",
        cpuset_mems="0-1",
    )
    alone = limits(memory="1g", memory_swap="-1", cpu_shares="2", cpuset_cpus="3", cgroup_parent="/a/b")
    assert alone == Resources(memory=1 << 30, memory_swap=-1, cpu_shares=2, cpuset_cpus="3", cgroup_parent="/a/b")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"shm_size": "much"}, 'invalid --shm-size: invalid size: "much"'),
        ({"memory": "-1"}, "invalid memory"),
        ({"ulimits": ("nofile",)}, "invalid ulimit argument: nofile"),
        ({"ulimits": ("files=1",)}, "invalid ulimit type: files"),
        ({"ulimits": ("nofile=2:1",)}, "ulimit soft limit must be less than or equal to hard limit: 2 > 1"),
        ({"ulimits": ("nofile=-1:1",)}, "ulimit soft limit must be less than or equal to hard limit: -1 > 1"),
        ({"ulimits": ("nofile=a",)}, "invalid ulimit argument: nofile=a"),
        ({"resources": ("speed=1",)}, "limit 'speed' is not supported"),
        ({"resources": ("speed",)}, "invalid field 'speed' must be a key=value pair"),
        ({"resources": ('"memory=1',)}, "invalid --resource"),
        ({"cpu_quota": "1.5"}, "invalid cpu-quota '1.5'"),
        ({"cpuset_cpus": "all"}, "invalid cpuset-cpus 'all'"),
        ({"memory_swap": "1g"}, "minimum memory-swap limit should be larger than memory limit"),
        ({"memory": "2g", "memory_swap": "1g"}, "minimum memory-swap limit should be larger than memory limit"),
        ({"cgroup_parent": "a/../.."}, "invalid --cgroup-parent"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as raised:
        limits(**flags)
    assert message in raised.value.message


def test_times_are_durations_and_no_limits_of_a_sandbox() -> None:
    found = LimitFlags(timeout="1h30m", step_timeout="500ms").request()
    assert (found["timeout"], found["step_timeout"], found["resources"]) == (5400, 0.5, Resources())
    assert (LimitFlags().request()["timeout"], LimitFlags().request()["step_timeout"]) == (None, None)


@pytest.mark.parametrize("flag", ["timeout", "step_timeout"])
@pytest.mark.parametrize("text", ["10", "soon", "-1m", "1d"])
def test_what_is_no_duration_is_refused(flag: str, text: str) -> None:
    with pytest.raises(RequestError, match=f"--{flag.replace('_', '-')}"):
        LimitFlags(**{flag: text}).request()
