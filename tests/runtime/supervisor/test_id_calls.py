import os
from collections.abc import Callable

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from tests.runtime.supervisor.supervised import supervised, supervision


def _all() -> tuple[object, ...]:
    return os.getresuid(), os.getresgid(), os.getgroups(), (os.getuid(), os.geteuid(), os.getgid(), os.getegid())


def test_a_process_is_told_what_it_set_and_stays_what_it_is() -> None:
    def change() -> tuple[object, ...]:
        os.setgroups([7, 70000])
        os.setresgid(10, 11, 12)
        os.setresuid(20, 21, 22)
        with open("/proc/self/status") as status:
            real = [line for line in status if line.startswith("Uid")]
        return (*_all(), real)

    told = supervised(change)
    assert told[:4] == ((20, 21, 22), (10, 11, 12), [7, 70000], (20, 21, 10, 11))
    assert told[4] == ["Uid:\t0\t0\t0\t0\n"]


@pytest.mark.parametrize(
    "call",
    [lambda: os.setuid(0), lambda: os.setresuid(-1, 0, -1), lambda: os.setgid(0), lambda: os.setgroups([])],
)
def test_who_was_root_has_no_way_back(call: Callable[[], object]) -> None:
    def change() -> None:
        os.setresgid(9, 9, 9)
        os.setresuid(9, 9, 9)
        call()

    with pytest.raises(PermissionError):
        supervised(change)


def test_a_process_without_the_capabilities_stays_root() -> None:
    how = supervision(capabilities=DEFAULT & ~mask("SETUID", "SETGID"))
    for call in (lambda: os.setuid(1), lambda: os.setgid(1), lambda: os.setgroups([1])):
        with pytest.raises(PermissionError):
            supervised(call, how)


def test_who_keeps_its_capabilities_may_change_groups_after_its_user() -> None:
    def change() -> tuple[object, ...]:
        import ctypes

        ctypes.CDLL(None).prctl(8, 1, 0, 0, 0)
        os.setresuid(5, 5, 5)
        os.setresgid(6, 6, 6)
        os.setgroups([7])
        return _all()[:3]

    assert supervised(change) == ((5, 5, 5), (6, 6, 6), [7])
