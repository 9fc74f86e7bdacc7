import os
import stat
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


def test_zero_is_no_limit() -> None:
    given = dict.fromkeys(("memory", "memory_swap", "memory_reservation", "cpus", "cpu_shares", "pids_limit"), "0")
    assert ChangeableLimitFlags(**given, blkio_weight=0).limits() == ResourceLimits()  # type: ignore[arg-type]
    assert ChangeableLimitFlags(memory="8m", memory_swap="0").limits() == ResourceLimits(memory=8 << 20)


@pytest.mark.parametrize(
    "flags",
    [
        {"memory": "x"},
        {"memory": "5m"},
        {"memory": "8m", "memory_reservation": "9m"},
        {"cpus": "-0.5"},
        {"cpus": "x"},
        {"cpus": "1", "cpu_quota": "5"},
        {"pids_limit": "x"},
        {"blkio_weight": 9},
        {"blkio_weight": 1001},
        {"cpu_period": "999"},
        {"cpu_period": "1000001"},
    ],
)
def test_wrong_ones_are_refused(flags: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        ChangeableLimitFlags(**flags).limits()


@pytest.mark.parametrize("swappiness", [-2, 101])
def test_no_percentage(swappiness: int) -> None:
    with pytest.raises(RequestError, match="range is 0-100"):
        ContainerLimitFlags(changeable=ChangeableLimitFlags(), memory_swappiness=swappiness).limits()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/dev/null:1mb", "no block device"),
        ("/dev/no-such-disk:1mb", "no such file"),
        ("sda:1mb", "bad format"),
        ("/dev/null", "bad format"),
        ("/dev/null:0", "bad format"),
        ("/dev/null:fast", "bad format"),
    ],
)
def test_what_is_no_limit_of_a_disk(text: str, reason: str) -> None:
    flags = ContainerLimitFlags(changeable=ChangeableLimitFlags(), device_read_bps=(text,))
    with pytest.raises(RequestError, match=reason):
        flags.limits()


def test_a_disk_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.stat_result((stat.S_IFBLK, *[0] * 9), {"st_rdev": os.makedev(8, 16)})
    monkeypatch.setattr(os, "stat", lambda _path: status)
    flags = ContainerLimitFlags(changeable=ChangeableLimitFlags(), device_write_bps=("/dev/sdb:1mb",))
    assert flags.limits().throttles == (("write_bps", "8:16", 1 << 20, "/dev/sdb"),)
