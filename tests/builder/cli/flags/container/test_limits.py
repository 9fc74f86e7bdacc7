import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.cli.flags.container import limits as module
from pybuild.builder.cli.flags.container.limits import ChangeableLimitFlags, ContainerLimitFlags
from pybuild.builder.errors import RequestError
from pybuild.runtime.sandbox.spec import SHM_SIZE, ResourceLimits


@pytest.fixture(autouse=True)
def two_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for what, listed in (("cpu", "0-1\n"), ("node", "0\n")):
        (tmp_path / what).mkdir()
        (tmp_path / what / "online").write_text(listed, encoding="ascii")
    monkeypatch.setattr(module, "_DEVICES", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})


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
    assert ChangeableLimitFlags(pids_limit="-5").limits() == ResourceLimits(pids=-1)
    assert ChangeableLimitFlags(cpus="2", cpuset_cpus="0,1", cpuset_mems="0").limits() == ResourceLimits(
        nano_cpus=2_000_000_000, cpuset_cpus="0,1", cpuset_mems="0"
    )


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


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"memory_reservation": "5m"}, "Minimum memory reservation allowed is 6MB"),
        ({"cpus": "2.1"}, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        ({"cpus": "0.009"}, "range of CPUs is from 0.01 to 2.00"),
        ({"cpus": "1.1234567891"}, "value is too precise"),
        ({"cpu_quota": "999"}, "CPU cfs quota can not be less than 1ms"),
        ({"cpu_shares": "1"}, "the minimum allowed cpu-shares is 2"),
        ({"cpu_shares": "262145"}, "the maximum allowed cpu-shares is 262144"),
        ({"cpuset_cpus": "0,2"}, "Requested CPUs are not available - requested 0,2, available: 0-1"),
        ({"cpuset_cpus": "0-99999999999"}, "Requested CPUs are not available"),
        ({"cpuset_cpus": "1-0"}, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
        ({"cpuset_cpus": "0,"}, "invalid format: 0,"),
        ({"cpuset_mems": "1"}, "Requested memory nodes are not available - requested 1, available: 0"),
    ],
)
def test_numbers_that_this_host_does_not_have_are_refused_in_the_words_of_docker(
    flags: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RequestError, match=reason):
        ChangeableLimitFlags(**flags).limits()


def test_a_host_that_does_not_tell_its_processors_takes_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_DEVICES", tmp_path / "nowhere")
    assert ChangeableLimitFlags(cpuset_cpus="7", cpuset_mems="3").limits().cpuset_cpus == "7"


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
    flags = ContainerLimitFlags(changeable=ChangeableLimitFlags(), device_write_bps=("/dev/sdb:1mb",))
    with monkeypatch.context() as patched:  # not while pytest removes the directory of the test
        patched.setattr(os, "stat", lambda _path: status)
        found = flags.limits()
    assert found.throttles == (("write_bps", "8:16", 1 << 20, "/dev/sdb"),)
