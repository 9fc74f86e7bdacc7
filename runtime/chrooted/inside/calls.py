"""Decides calls about other processes, which the filter leaves to the keeper. They are permitted for those inside.

There is no PID namespace, so a number may be that of a process outside, and root may act on those of root. The numbers
are arguments by value, which nobody can change after the decision. The number of a process inside is not used again
before the call is over, because the kernel frees it only when the keeper has reaped that process, and the keeper does
not do so meanwhile. After that a process is a zombie of its parent, which may free the number at any time: the kernel
carries out nothing about it.
"""

import os
from errno import EPERM, ESRCH

ONE, MANY, PRIORITY, IO_PRIORITY, OPENING = 1, 2, 3, 4, 5
"""Kinds of calls, by what the number means: a process, 0 for the caller; the same, a group of processes or all, as for
kill(2); what the argument before it says, as for setpriority(2) and ioprio_set(2); a process that is only looked at, as
for pidfd_open(2), since all that could act on it by its descriptor is refused."""
GO_ON, DONE = -1, 0
"""Decisions: the kernel carries the call out; it is not carried out and succeeds."""
_INDEXES = 8  # more than a call has arguments, which are six
_FIRST_KIND = {PRIORITY: 0, IO_PRIORITY: 1}
"""The value of that argument for a process. The next value means a group of processes, the one after it a user."""


def code(kind: int, index: int) -> int:
    """Return the data that a filter passes to the keeper: the *kind* of a call, and the *index* of the number."""
    return kind * _INDEXES + index


def decision(data: int, arguments: tuple[int, ...], inside: set[int]) -> int:
    """Return `GO_ON`, `DONE`, or the errno with which a call is refused.

    *data* is the `code` from the filter, and *inside* has the numbers of all processes and threads inside.
    """
    kind, index = divmod(data, _INDEXES)
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


def _of_process(number: int, inside: set[int], *, ended: int) -> int:
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


def _of_group(number: int, inside: set[int]) -> int:
    for each in inside:
        try:
            if os.getpgid(each) == number:
                return GO_ON
        except ProcessLookupError:
            continue
    return EPERM
