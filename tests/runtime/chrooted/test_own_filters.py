"""A step may set filters of its own, and those do not decide what the keeper decides."""

import errno
import os

import pytest

from pybuild.runtime.chrooted.inside.process_calls import NONE
from pybuild.runtime.kernel.syscalls import seccomp_listener, set_seccomp_filter
from pybuild.runtime.sandbox.inside.seccomp import (
    ALLOW,
    MACHINES,
    NOTIFY,
    TRACE,
    by_architecture,
    intervals,
    packed,
    returning,
)
from pybuild.runtime.supervisor.listener import Listener
from tests.runtime.chrooted.traced import result

_ATTACKED = ("setpriority", "kill")


def _filter(names: tuple[str, ...], answer: int) -> bytes:
    """A filter with *answer* for the calls *names*, which allows all others."""
    allowed = returning(ALLOW)
    blocks = (
        (arch, intervals({table[name]: returning(answer) for name in names if name in table}, allowed, allowed))
        for arch, table in MACHINES[os.uname().machine]
    )
    return packed(by_architecture(blocks))


def _attack(pid: int) -> list[str]:
    """Act on the process *pid* by `_ATTACKED`."""
    told = []
    for work in (lambda: os.setpriority(os.PRIO_PROCESS, pid, 7), lambda: os.kill(pid, 9)):
        try:
            work()
            told.append("done")
        except OSError as error:
            told.append(errno.errorcode[error.errno or 0])
    return told


@pytest.mark.parametrize("data", [0, NONE, 8 * NONE, 0xFFFF])
def test_what_a_filter_tells_the_tracer_decides_nothing(outside: int, data: int) -> None:
    """Of several filters that ask for the tracer, the newest one chooses what the tracer is told."""

    def attacked() -> list[str]:
        set_seccomp_filter(_filter(_ATTACKED, TRACE | data))
        return _attack(outside)

    assert result(attacked) == "['EPERM', 'EPERM']"


def test_no_listener_answers_in_place_of_the_keeper(outside: int) -> None:
    """The kernel asks a listener rather than a tracer, and carries out what the listener lets continue."""

    def attacked() -> object:
        try:
            listener = seccomp_listener(_filter(_ATTACKED, NOTIFY))
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        if os.fork() == 0:
            calls = Listener(listener)
            while (call := calls.receive()) is not None:
                calls.proceed(call)
            os._exit(0)
        return _attack(outside)

    assert result(attacked) == "EBUSY"


def test_a_call_that_only_the_step_wants_traced_is_missing() -> None:
    def called() -> str:
        set_seccomp_filter(_filter(("getpriority",), TRACE | NONE))
        try:
            return str(os.getpriority(os.PRIO_PROCESS, 0))
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    assert result(called) == "ENOSYS"
