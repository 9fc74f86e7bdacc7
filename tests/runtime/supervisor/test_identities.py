import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable

from pybuild.runtime.supervisor.identities import set_all, set_one, set_two
from tests.runtime.supervisor.supervised import supervised

_SAME = 0xFFFFFFFF


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


def test_many_groups_are_set_and_do_not_fill_the_memory_of_the_supervisor() -> None:
    """As many as the kernel takes, again and again others: two megabytes for each set of them."""

    def change() -> tuple[list[int], int]:
        os.setgroups(range(65536))
        first, count = os.getgroups(), 1
        with contextlib.suppress(BlockingIOError):
            while count < 100:
                os.setgroups(range(count, count + 65536))
                count += 1
        return [len(first), first[0], first[-1]], count

    (told, count) = supervised(change)
    assert told == [65536, 0, 65535]
    assert count < 10
