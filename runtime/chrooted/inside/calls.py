"""Decides calls about other processes, which the filter leaves to the keeper: they are for processes inside only.

There is no PID namespace, so a number may be that of a process outside, and root may act on those of root. The numbers
are arguments by value, which nobody can change after the decision. The number of a process inside is not used again in
between, because the kernel frees it only when the keeper has reaped that process.
"""

import os
from errno import EPERM, ESRCH

ONE, MANY, PRIORITY, IO_PRIORITY = 1, 2, 3, 4
"""Kinds of calls, by what the number means: a process, 0 for the caller; the same, a group of processes or all, as for
kill(2); what the argument before it says, as for setpriority(2) and ioprio_set(2)."""
_PLACES = 8  # more than the arguments of a call
_FIRST_KIND = {PRIORITY: 0, IO_PRIORITY: 1}
"""The value of that argument for a process. The next value means a group of processes, the one after it a user."""


def code(kind: int, place: int) -> int:
    """Return the data by which a filter tells the keeper the *kind* of a call, and the *place* of the number."""
    return kind * _PLACES + place


def refusal(data: int, arguments: tuple[int, ...], inside: set[int]) -> int:
    """Return the errno with which a call is refused, 0 if it is allowed.

    *data* is the `code` from the filter, and *inside* has the numbers of all processes and threads inside.
    """
    kind, place = divmod(data, _PLACES)
    number = _signed(arguments[place])
    if kind == ONE:
        return _of_process(number, inside) if number else 0
    if kind in _FIRST_KIND:
        which = _signed(arguments[place - 1]) - _FIRST_KIND[kind]
        if which not in {0, 1}:
            return EPERM
        number = -number if which else number
    if number == 0:  # the group of the caller is one of its session, and that was made inside
        return 0
    if number == -1:  # all processes that the caller may signal
        return EPERM
    return _of_group(-number, inside) if number < 0 else _of_process(number, inside)


def _signed(value: int) -> int:
    """Return the int of C that is in the lower half of a register."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _of_process(number: int, inside: set[int]) -> int:
    if number in inside:
        return 0
    # A zombie is still there for the caller, and nothing can be done to it, so a call may have its usual result.
    state = _state(number)
    return ESRCH if state == b"" else 0 if state in b"ZX" else EPERM


def _state(number: int) -> bytes:
    """Return the letter for the state of a process, b"" when there is none."""
    try:
        with open(b"/proc/%d/stat" % number, "rb", buffering=0) as file:
            return file.read(512).rpartition(b") ")[2][:1]
    except OSError:
        return b""


def _of_group(number: int, inside: set[int]) -> int:
    for each in inside:
        try:
            if os.getpgid(each) == number:
                return 0
        except ProcessLookupError:
            continue
    return EPERM
