"""Limits of steps check themselves, with the messages of the flags."""

from typing import Any

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request import Resources


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shm_size": -1}, 'invalid --shm-size: invalid size: "-1"'),
        ({"memory": -1}, 'invalid memory: invalid size: "-1"'),
        ({"memory": 2**63}, f'invalid memory: invalid size: "{2**63}"'),
        ({"memory": 1, "memory_swap": -2}, 'invalid memory-swap: invalid size: "-2"'),
        ({"memory_swap": 1}, "minimum memory-swap limit should be larger than memory limit"),
        ({"memory": 2, "memory_swap": 1}, "minimum memory-swap limit should be larger than memory limit"),
        ({"cpu_shares": -1}, "invalid cpu-shares '-1': expected a number"),
        ({"cpu_period": -1}, "invalid cpu-period '-1': expected a number"),
        ({"cpu_quota": 10**12}, "invalid cpu-quota '1000000000000': expected a number"),
        ({"pids": -1}, "invalid pids '-1': expected a number"),
        ({"cpuset_cpus": "zz"}, "invalid cpuset-cpus 'zz'"),
        ({"cpuset_mems": "0 1"}, "invalid cpuset-mems '0 1'"),
        ({"cgroup_parent": "a/../.."}, "invalid --cgroup-parent 'a/../..'"),
        ({"cgroup_parent": "a\0"}, "invalid cgroup_parent: it has a NUL byte"),
        ({"ulimits": (("files", 1, 1),)}, "invalid ulimit type: files"),
        ({"ulimits": (("nofile", 2, 1),)}, "soft limit must be less than or equal to hard limit: 2 > 1"),
        ({"ulimits": (("nofile", 2**64 - 1, 1),)}, "soft limit must be less than or equal to hard limit: -1 > 1"),
        ({"ulimits": (("nofile", -1, 1),)}, "invalid ulimit argument: nofile=-1:1"),
        ({"ulimits": (("nofile", 1, 2**64),)}, f"invalid ulimit argument: nofile=1:{2**64}"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Resources(**given)
    assert message in str(caught.value)


def test_what_means_something_is_taken() -> None:
    unlimited = 2**64 - 1
    for given in (
        {"memory": 0, "memory_swap": -1, "pids": 0, "shm_size": 0},
        {"memory": 1, "memory_swap": 1, "cpuset_cpus": "0-3,5", "cpuset_mems": "0", "cgroup_parent": "/a/b"},
        {"ulimits": (("nofile", 1, unlimited), ("core", unlimited, unlimited), ("nproc", 0, 0))},
    ):
        made: Any = given
        found = Resources(**made)
        assert {name: getattr(found, name) for name in made} == made
