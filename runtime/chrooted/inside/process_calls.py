"""Decides calls about other processes, which the filter leaves to the keeper. They are permitted for those inside.

There is no PID namespace, so a number may be that of a process outside, and root may act on those of root. The numbers
are arguments by value, which nobody can change after the decision. The number of a process inside is not used again
before the call is over, because the kernel frees it only when the keeper has reaped that process, and the keeper does
not do so meanwhile. After that a process is a zombie of its parent, which may free the number at any time: the kernel
carries out nothing about it.

Two numbers are freed without the keeper. One is that of a thread, when the thread executes a program and takes that of
its process (see `NamedProcesses`). The other is that of a group, when its last process enters another one: setpgid(2)
and setsid(2) are stopped for the keeper, too, so that they never happen during a call about a group.
"""

import os
from collections.abc import Collection, Iterator
from errno import EPERM, ESRCH

ONE, MANY, PRIORITY, IO_PRIORITY, OPENING, NONE = 1, 2, 3, 4, 5, 6
"""Kinds of calls, by what the number means: a process, 0 for the caller; the same, a group of processes or all, as for
kill(2); what the argument before it says, as for setpriority(2) and ioprio_set(2); a process that is only looked at, as
for pidfd_open(2), since all that could act on it by its descriptor is refused."""
GO_ON, DONE = -1, 0
"""Decisions: the kernel carries the call out; it is not carried out and succeeds."""
_FIRST_KIND = {PRIORITY: 0, IO_PRIORITY: 1}
"""The value of that argument for a process. The next value means a group of processes, the one after it a user."""


class NamedProcesses(Collection[int]):
    """The processes and threads inside about which *caller*, one of them, can make a call.

    Iteration returns all *numbers* that were once given to processes and threads inside. A number is contained if it
    is still that of one that this process traces, and cannot pass to another process during the call: so it is not that
    of a thread, unless it is one of the caller's own process, whose exec waits until the caller has ended.
    """

    __slots__ = ("_caller", "_numbers")

    def __init__(self, numbers: set[int], caller: int) -> None:
        self._numbers, self._caller = numbers, caller

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int) or number not in self._numbers:
            return False
        process, tracer = _process_and_tracer(number)
        return tracer == os.getpid() and process in {number, _process_and_tracer(self._caller)[0]}


def decision(kind: int, index: int, arguments: tuple[int, ...], inside: Collection[int]) -> int:
    """Return `GO_ON`, `DONE`, or the errno with which a call is refused.

    *index* is that of the number among the *arguments*, and *inside* has the numbers of processes and threads inside
    (`NamedProcesses`).
    """
    if kind == NONE:
        return GO_ON
    number = _signed(arguments[index])
    if kind in {ONE, OPENING}:
        return _of_process(number, inside, ended=ESRCH if kind == ONE else GO_ON) if number else GO_ON
    if kind in _FIRST_KIND:
        which = _signed(arguments[index - 1]) - _FIRST_KIND[kind]
        if which not in {0, 1}:  # all processes of a user: those of root are outside as well
            return EPERM
        number = -number if which else number
    if number == 0:  # the group of the caller is one of its session, and that was made inside
        return GO_ON
    if number == -1:  # all processes that the caller may signal
        return EPERM
    return _of_group(-number, inside) if number < 0 else _of_process(number, inside, ended=DONE)


def has_ended(number: int) -> bool:
    """Return whether a process or thread is a zombie, or no longer there."""
    return _state(number) in {b"", b"Z", b"X"}


def _signed(value: int) -> int:
    """Return the int of C that is in the lower half of a register."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _of_process(number: int, inside: Collection[int], *, ended: int) -> int:
    """Return the decision about a process, *ended* for a zombie that the keeper has reaped, and its parent has not."""
    if number in inside:
        return GO_ON
    state = _state(number)
    return ESRCH if state == b"" else ended if state in b"ZX" else EPERM


def _state(number: int) -> bytes:
    """Return the letter for the state of a process, b"" when there is none."""
    try:
        with open(b"/proc/%d/stat" % number, "rb", buffering=0) as file:
            # After the name of the program, which may itself have parentheses (proc(5)).
            return file.read(512).rpartition(b") ")[2][:1]
    except OSError:
        return b""


def _process_and_tracer(number: int) -> tuple[int, int]:
    """Return the process of a thread and the process that traces it, (0, 0) when there is no such thread."""
    found = {b"Tgid": 0, b"TracerPid": 0}
    try:
        with open(b"/proc/%d/status" % number, "rb", buffering=0) as file:
            lines = file.read(1024).split(b"\n")
    except OSError:
        return 0, 0
    for name, _, value in (line.partition(b":\t") for line in lines):
        if name in found:
            found[name] = int(value)
    return found[b"Tgid"], found[b"TracerPid"]


def _of_group(number: int, inside: Collection[int]) -> int:
    for each in inside:
        try:
            if os.getpgid(each) == number and each in inside:
                return GO_ON
        except ProcessLookupError:
            continue
    return EPERM
