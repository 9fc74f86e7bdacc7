"""The filter of a step that has nothing around it but a chroot, beside the usual one: the stricter answer counts.

Without namespaces root of a step is root beside the builder. What names other processes is left to the keeper
(`inside/calls.py`), or refused where it does so in memory, where no filter can look.
"""

import os
from collections.abc import Callable
from functools import cache

from pybuild.runtime.chrooted.inside.calls import IO_PRIORITY, MANY, ONE, PRIORITY, code
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel import ptrace
from pybuild.runtime.sandbox.inside.seccomp import (
    ALLOW,
    ENOSYS,
    EPERM,
    JEQ,
    JSET,
    MACHINES,
    NOTIFY,
    SUCCEED,
    TRACE,
    Code,
    Instruction,
    argument,
    intervals,
    packed,
    returning,
    whole,
)

_REFUSED = """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp
    chroot pivot_root mount umount umount2 fsopen fsmount fspick open_tree move_mount mount_setattr unshare setns
    open_by_handle_at migrate_pages move_pages bpf perf_event_open keyctl userfaultfd
"""
"""Ways into other processes, and out of the root; with those that the usual filter refuses, in case it is another."""
_ABSENT = "clone3 pidfd_send_signal io_uring_setup io_uring_enter io_uring_register"
"""Calls that name processes in memory or by descriptors which a socket may hand out; programs do without."""
_PID_AT = {
    "tkill": (ONE, 0),
    "tgkill": (ONE, 0),
    "rt_sigqueueinfo": (ONE, 0),
    "rt_tgsigqueueinfo": (ONE, 0),
    "pidfd_open": (ONE, 0),
    "sched_setaffinity": (ONE, 0),
    "sched_setscheduler": (ONE, 0),
    "sched_setparam": (ONE, 0),
    "sched_setattr": (ONE, 0),
    "kill": (MANY, 0),
    "setpriority": (PRIORITY, 1),
    "ioprio_set": (IO_PRIORITY, 1),
}
_NEW_NAMESPACES, _CLONE_UNTRACED = 0x7E020000, 0x00800000
_RLIMIT_LOCKS = 10
_F_SETOWN, _F_SETOWN_EX = 8, 15
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902


def _tracing(kind: int, place: int) -> Code:
    return returning(TRACE | code(kind, place))


def _chosen(place: int, answers: dict[int, Code], otherwise: Code) -> Code:
    """Return the program that has *answers* for values of the argument at *place*."""
    steps: tuple[Instruction, ...] = (argument(place),)
    for value, answer in answers.items():
        steps = (*steps, Instruction(JEQ, value, jf=len(answer)), *answer)
    return (*steps, *otherwise)


def _clone() -> Code:
    refused = Instruction(JSET, _NEW_NAMESPACES | _CLONE_UNTRACED, jt=1)
    return (argument(0), refused, *returning(ALLOW), *returning(EPERM))


def _locks(place: int, otherwise: Code) -> Code:
    """Let nobody change the limit that marks a process; pam_limits sets all that there are."""
    return _chosen(place, {_RLIMIT_LOCKS: returning(SUCCEED)}, otherwise)


_CONDITIONAL: dict[str, Callable[[], Code]] = {
    "clone": _clone,
    "setrlimit": lambda: _locks(0, returning(ALLOW)),
    "prlimit64": lambda: _locks(1, _chosen(0, {0: returning(ALLOW)}, _tracing(ONE, 0))),
    **dict.fromkeys(
        ("fcntl", "fcntl64"),
        lambda: _chosen(1, {_F_SETOWN: _tracing(MANY, 2), _F_SETOWN_EX: returning(EPERM)}, returning(ALLOW)),
    ),
    "ioctl": lambda: _chosen(1, {_FIOSETOWN: returning(EPERM), _SIOCSPGRP: returning(EPERM)}, returning(ALLOW)),
}


def _verdict(name: str) -> Code:
    if name in _CONDITIONAL:
        return _CONDITIONAL[name]()
    if name in _PID_AT:
        return _tracing(*_PID_AT[name])
    if name in _REFUSED.split():
        return returning(EPERM)
    return returning(ENOSYS if name in _ABSENT.split() else ALLOW)


_PATH_AT = {"open": 0, "openat": 1, "openat2": 1}


@cache
def opening_filter() -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Return the program that passes on what is opened, and the numbers of its calls with the places of their paths."""
    tables = MACHINES[os.uname().machine]
    notified = returning(NOTIFY)
    blocks = []
    for arch, table in tables:
        codes = {number: notified if name in _PATH_AT else returning(ALLOW) for name, number in table.items()}
        blocks.append((arch, intervals(codes, returning(ALLOW), returning(ENOSYS))))
    # No two architectures of a machine have one number for different ones of them.
    calls = tuple((number, _PATH_AT[name]) for _, table in tables for name, number in table.items() if name in _PATH_AT)
    return packed(whole(blocks)), calls


@cache
def own_filter() -> bytes:
    """Return the program for this machine.

    Raises:
        SandboxUnavailable: there is no table for it.
    """
    machine = os.uname().machine
    if machine not in MACHINES or machine not in ptrace.MACHINES:
        raise SandboxUnavailable(f"isolation chroot does not know {machine}", "use isolation root or userns")
    blocks = (
        (
            arch,
            intervals({number: _verdict(name) for name, number in table.items()}, returning(ALLOW), returning(ENOSYS)),
        )
        for arch, table in MACHINES[machine]
    )
    return packed(whole(blocks))
