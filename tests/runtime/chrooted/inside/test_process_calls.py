"""Which calls about other processes may go on."""

import os
import subprocess
from errno import EPERM, ESRCH

import pytest

from pybuild.runtime.chrooted.inside.process_calls import (
    DONE,
    GO_ON,
    IO_PRIORITY,
    MANY,
    ONE,
    OPENING,
    PRIORITY,
    NamedProcesses,
    decision,
)

_INSIDE = {os.getpid()}
_MINUS_ONE = (1 << 64) - 1


def _asked(kind: int, place: int, *arguments: int) -> int:
    return decision(kind, place, (*arguments, 0, 0, 0, 0, 0)[:6], _INSIDE)


@pytest.mark.parametrize(
    ("kind", "place", "arguments", "decided"),
    [
        (ONE, 0, (0,), GO_ON),
        (ONE, 0, (os.getpid(),), GO_ON),
        (ONE, 0, (os.getppid(),), EPERM),
        (MANY, 0, (0,), GO_ON),
        (MANY, 0, (_MINUS_ONE,), EPERM),
        (MANY, 0, (0xFFFFFFFF,), EPERM),
        (MANY, 0, (1,), EPERM),
        (MANY, 0, ((1 << 64) - os.getpgid(0),), GO_ON),
        (MANY, 2, (3, 8, 1), EPERM),
        (PRIORITY, 1, (0, 1), EPERM),
        (PRIORITY, 1, (0, 0), GO_ON),
        (PRIORITY, 1, (1, os.getpgid(0)), GO_ON),
        (PRIORITY, 1, (2, 0), EPERM),
        (IO_PRIORITY, 1, (1, 1), EPERM),
        (IO_PRIORITY, 1, (1, os.getpid()), GO_ON),
        (IO_PRIORITY, 1, (3, 0), EPERM),
    ],
)
def test_numbers_of_processes_outside_are_refused(
    kind: int, place: int, arguments: tuple[int, ...], decided: int
) -> None:
    assert _asked(kind, place, *arguments) == decided


def test_a_group_outside_is_refused() -> None:
    with subprocess.Popen(["sleep", "1000"], process_group=0) as outside:
        try:
            assert _asked(MANY, 0, (1 << 64) - outside.pid) == EPERM
            assert _asked(PRIORITY, 1, 1, outside.pid) == EPERM
        finally:
            outside.kill()


def test_nothing_is_carried_out_about_one_that_has_ended_and_whose_number_may_be_freed() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert [_asked(kind, 0, child) for kind in (MANY, ONE, OPENING)] == [DONE, ESRCH, GO_ON]
    os.waitpid(child, 0)
    assert _asked(MANY, 0, child) == ESRCH


def test_a_number_that_was_given_to_another_process_is_not_inside() -> None:
    """A thread that executes a program frees its number before the keeper hears of it."""
    with subprocess.Popen(["sleep", "1000"], process_group=0) as other:
        try:
            inside = NamedProcesses({other.pid}, os.getpid())
            for kind, number in (
                (ONE, other.pid),
                (MANY, other.pid),
                (MANY, (1 << 64) - other.pid),
                (OPENING, other.pid),
            ):
                assert decision(kind, 0, (number,) * 6, inside) == EPERM
        finally:
            other.kill()
