import os

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.private_networks import pool


class Network:
    """Takes the place of a `PrivateNetwork`."""

    def __init__(self) -> None:
        self.fresh, self.closed = True, 0

    def is_fresh(self) -> bool:
        return self.fresh

    def wait(self) -> None:
        assert not self.closed

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """All networks that were begun."""
    networks: list[Network] = []

    def begin() -> Network:
        networks.append(Network())
        return networks[-1]

    monkeypatch.setattr(pool, "begin", begin)
    monkeypatch.setattr(pool, "_spares", pool._Spares())
    return networks


def taken() -> object:
    """The network of a step that begins."""
    pool.start_ahead()
    return pool.take()


def test_each_step_has_one_of_its_own_which_was_begun_while_an_earlier_one_ran(begun: list[Network]) -> None:
    with pool.expecting(5):
        first = taken()
        assert begun[0] is first
        assert len(begun) == 1 + pool._AHEAD
        assert [taken() for _ in range(4)] == begun[1:]
    assert len(begun) == 5
    assert not any(network.closed for network in begun)


def test_what_no_step_has_taken_is_ended_with_the_block(begun: list[Network]) -> None:
    with pool.expecting(10):
        first = taken()
    assert [network.closed for network in begun if network is not first] == [1] * pool._AHEAD
    taken()
    assert len(begun) == 2 + pool._AHEAD


def test_a_build_that_ends_leaves_those_of_another_one(begun: list[Network]) -> None:
    with pool.expecting(2):
        with pool.expecting(2):
            taken()
        assert not any(network.closed for network in begun)
        assert taken() is begun[1]


def test_steps_that_begin_together_wait_for_no_other(begun: list[Network]) -> None:
    with pool.expecting(3):
        for _ in range(3):
            pool.start_ahead()
            pool.drop_ahead()
        assert len(begun) == 3


def test_one_that_has_died_since_is_not_given_to_a_step(begun: list[Network]) -> None:
    with pool.expecting(3):
        taken()
        begun[1].fresh = False
        assert taken() is begun[2]
    assert begun[1].closed == 1


def test_nothing_is_begun_where_no_step_is_expected(begun: list[Network]) -> None:
    taken()
    assert len(begun) == 1


def test_a_fork_takes_nothing_of_its_parent(begun: list[Network], monkeypatch: pytest.MonkeyPatch) -> None:
    with pool.expecting(3):
        taken()
        pool.start_ahead()
        own = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: own + 1)
        assert taken() not in begun[:3]
        monkeypatch.setattr(os, "getpid", lambda: own)


def test_a_host_without_such_networks_says_so_when_one_is_taken(
    begun: list[Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin() -> Network:
        raise SandboxUnavailable("no private network")

    monkeypatch.setattr(pool, "begin", begin)
    with pool.expecting(2):
        pool.start_ahead()
        with pytest.raises(SandboxUnavailable, match="no private network"):
            pool.take()
    assert begun == []
