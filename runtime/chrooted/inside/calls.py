"""Calls about other processes, which the filter leaves to the keeper: allowed for processes inside alone.

There is no PID namespace, so numbers name processes outside as well, and root may do things to those of root. What is
decided on comes by value. A number that is inside stays that process's, since it is freed by the keeper alone.
"""

import os
from errno import EPERM, ESRCH

ONE, MANY, PRIORITY, IO_PRIORITY = 1, 2, 3, 4
"""What a call takes: the number of a process, 0 for the caller's own; what kill(2) takes; a kind and a number, as
setpriority(2) and ioprio_set(2) do."""
_PLACES = 8
_FIRST_KIND = {PRIORITY: 0, IO_PRIORITY: 1}
"""The kind that means a process; the next one means a group of processes, then comes a user."""


def code(kind: int, place: int) -> int:
    """Return what a filter tells of a call of this *kind* whose argument at *place* is the number."""
    return kind * _PLACES + place


def refusal(data: int, arguments: tuple[int, ...], inside: set[int]) -> int:
    """Return the errno for a call that is refused, 0 for one that may go on; *inside* has all processes and threads."""
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
    if number == -1:
        return EPERM
    return _of_group(-number, inside) if number < 0 else _of_process(number, inside)


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _of_process(number: int, inside: set[int]) -> int:
    if number in inside:
        return 0
    # One that has ended and is not waited for yet counts as there, and nothing can be done to it, whoever it was.
    state = _state(number)
    return ESRCH if state == b"" else 0 if state in b"ZX" else EPERM


def _state(number: int) -> bytes:
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
