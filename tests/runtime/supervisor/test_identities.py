import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.supervisor.identities import set_all, set_one, set_two
from tests.runtime.supervisor.supervised import supervised, supervision

_SAME = 0xFFFFFFFF


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


def test_children_are_who_their_parent_is_also_when_it_has_gone() -> None:
    def change() -> list[bytes]:
        os.setgroups([5])
        os.setgid(1000)
        os.setuid(1000)
        orphan = subprocess.run(["sh", "-c", "(sleep 0.2; id -u; id -G) &"], stdout=subprocess.PIPE, check=True)
        return orphan.stdout.split()

    assert supervised(change) == [b"1000", b"1000", b"5"]


def test_who_sets_the_limits_stays_who_it_is() -> None:
    def change() -> tuple[object, ...]:
        os.setgid(1000)
        resource.setrlimit(10, (1, resource.RLIM_INFINITY))
        os.setuid(1000)
        resource.prlimit(0, 10, (1 << 40, resource.RLIM_INFINITY))
        return os.getuid(), os.getgid()

    assert supervised(change) == (1000, 1000)


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


def test_the_rules_are_those_of_the_kernel() -> None:
    """Compared with what the kernel answers to processes that are root and that are not."""
    ours = {1: set_one, 2: set_two, 3: set_all}
    starts = [(0, 0, 0), (5, 5, 5), (5, 6, 7), (5, 0, 7), (0, 6, 0)]
    calls = [
        (start, (first, *(5, -1)[: count - 1]))
        for start in starts
        for count in ours
        for first in (-1, 0, 5, 6, 7, 8)
        if (count, first) != (1, -1)
    ]
    for (start, arguments), expected in zip(calls, _kernels(calls), strict=True):
        assert _ours(ours[len(arguments)], start, arguments) == expected, (start, arguments)


def _ours(
    change: Callable[..., tuple[int, ...]], start: tuple[int, int, int], arguments: tuple[int, ...]
) -> tuple[int, ...]:
    try:
        return change(start, tuple(a & _SAME for a in arguments), privileged=start[1] == 0)
    except PermissionError:
        return ()


_IN_KERNEL = """
import json, os, sys
calls = {1: os.setuid, 2: os.setreuid, 3: os.setresuid}
for start, arguments in json.load(sys.stdin):
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    os.setresuid(*start)
    try:
        calls[len(arguments)](*arguments)
        print(json.dumps(os.getresuid()), flush=True)
    except PermissionError:
        print("[]", flush=True)
    os._exit(0)
"""
"""Run by a small process: one that has thousands of tests in memory takes 50 ms to fork."""


def _kernels(calls: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[tuple[int, ...]]:
    words = [sys.executable, "-S", "-c", _IN_KERNEL]
    done = subprocess.run(words, input=json.dumps(calls), check=True, capture_output=True, text=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]
