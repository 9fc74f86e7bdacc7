"""What a policy permits, and how much it leaves."""

import pytest

from pybuild.builder.prune.policy import CACHE_MOUNT, REGULAR, Policy


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
