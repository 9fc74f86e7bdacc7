"""What a policy permits, and how much it leaves."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.prune.policy import CACHE_MOUNT, REGULAR, STAMP, Policy, is_due, limits

LIMITS = '[gc]\nuntil = "1h"\nmax-used-space = "1k"\n'


@pytest.mark.parametrize(
    ("policy", "used", "free", "room"),
    [
        (Policy(), 100, 50, 0),
        (Policy(max_used_space=30), 100, 50, 30),
        (Policy(min_free_space=80), 100, 50, 70),
        (Policy(min_free_space=80, max_used_space=60), 100, 50, 60),
        (Policy(max_used_space=30, reserved_space=40), 100, 50, 40),
        (Policy(min_free_space=20), 100, 50, 100),
    ],
)
def test_the_smallest_limit_counts_and_a_reserve_is_kept(policy: Policy, used: int, free: int, room: int) -> None:
    assert policy.room(used, free) == room


@pytest.mark.parametrize(
    ("kind", "taken"), [("", (True, True)), (REGULAR, (False, True)), (CACHE_MOUNT, (True, False))]
)
def test_a_kind_is_the_only_one_that_may_go(kind: str, taken: tuple[bool, bool]) -> None:
    assert (Policy(kind=kind).takes(True), Policy(kind=kind).takes(False)) == taken


def test_what_is_asked_for_is_known() -> None:
    assert Policy().is_empty
    assert not Policy(until=1.0).is_empty
    assert not Policy(until=1.0).is_sized
    assert Policy(reserved_space=1).is_sized


def test_the_limits_of_a_store_are_those_of_prune(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(LIMITS)
    assert limits(tmp_path) == Policy(until=3600, max_used_space=1024)
    path.write_text("[gc]\n")
    assert limits(tmp_path).is_empty


@pytest.mark.parametrize(
    ("size", "kept", "most", "free"),
    [(2 * 10**12, 10**10, 10**11, 4 * 10**11), (5 * 10**10, 5 * 10**9, 3 * 10**10, 10**10)],
)
def test_a_store_without_limits_has_those_of_buildkit(
    tmp_path: Path, disk: Callable[[int, int], None], size: int, kept: int, most: int, free: int
) -> None:
    disk(size, size)
    found = limits(tmp_path)
    assert (found.reserved_space, found.max_used_space, found.min_free_space) == pytest.approx(
        (kept, most, free), rel=1e-5
    )


def test_no_share_of_a_disk_that_counts_no_blocks_is_left_free(
    tmp_path: Path, disk: Callable[[int, int], None]
) -> None:
    disk(0, 0)
    assert limits(tmp_path) == Policy(reserved_space=10**10, max_used_space=10**11)
    assert is_due(tmp_path)


@pytest.mark.parametrize(("age", "due"), [(9, False), (3000, False), (4000, True), (-4000, True)])
def test_limits_are_enforced_once_an_hour_and_after_the_clock_was_set_back(tmp_path: Path, age: int, due: bool) -> None:
    (tmp_path / "config.toml").write_text(LIMITS)
    (tmp_path / "locks").mkdir()
    (tmp_path / STAMP).touch()
    then = time.time() - age
    os.utime(tmp_path / STAMP, (then, then))
    assert is_due(tmp_path) is due


@pytest.mark.parametrize("text", ["[gc", "gc = 1", "[gc]\nsize = '1g'", "[gc]\nuntil = 5", "\0"])
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"config\.toml: "):
        limits(tmp_path)


def test_a_file_that_cannot_be_read_is_told_without_a_number(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(RequestError) as caught:
        limits(tmp_path)
    assert str(caught.value) == f"{tmp_path}/config.toml: is a directory"
