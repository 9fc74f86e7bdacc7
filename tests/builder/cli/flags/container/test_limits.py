from typing import Any

import pytest

from pybuild.builder.cli.flags.container.limits import ChangeableLimitFlags, ContainerLimitFlags
from pybuild.builder.errors import RequestError
from pybuild.runtime.sandbox.spec import SHM_SIZE, ResourceLimits


def test_limits_are_those_of_a_sandbox() -> None:
    assert ContainerLimitFlags(changeable=ChangeableLimitFlags()).limits() == ResourceLimits(shm_size=SHM_SIZE)
    assert ContainerLimitFlags(
        changeable=ChangeableLimitFlags(memory="8m", cpus="1.5", pids_limit="7", blkio_weight=500),
        ulimits=("nofile=3:4",),
        shm_size="2m",
    ).limits() == (
        ResourceLimits(
            memory=8 << 20,
            memory_swap=16 << 20,
            nano_cpus=1_500_000_000,
            pids=7,
            blkio_weight=500,
            ulimits=(("nofile", 3, 4),),
            shm_size=2 << 20,
        )
    )
    assert ChangeableLimitFlags(pids_limit="-1").limits() == ResourceLimits(pids=-1)


@pytest.mark.parametrize(
    "flags",
    [
        {"memory": "x"},
        {"memory": "5m"},
        {"memory": "8m", "memory_reservation": "9m"},
        {"cpus": "0"},
        {"cpus": "x"},
        {"cpus": "1", "cpu_quota": "5"},
        {"pids_limit": "x"},
        {"blkio_weight": 9},
        {"blkio_weight": 1001},
    ],
)
def test_wrong_ones_are_refused(flags: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        ChangeableLimitFlags(**flags).limits()


@pytest.mark.parametrize("swappiness", [-2, 101])
def test_no_percentage(swappiness: int) -> None:
    with pytest.raises(RequestError, match="range is 0-100"):
        ContainerLimitFlags(changeable=ChangeableLimitFlags(), memory_swappiness=swappiness).limits()
