"""The filter that a step in a chroot has in addition to the usual one. Of two answers the kernel takes the stricter.

Without namespaces, root of a step could act on any process of root. So calls that name a process by an argument are
left to the keeper (`inside/process_calls.py`), and those that do so in memory, which a filter cannot read, are refused.
"""

import os
from collections.abc import Callable
from functools import cache

from pybuild.runtime.chrooted.inside.process_calls import IO_PRIORITY, MANY, NONE, ONE, OPENING, PRIORITY
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel import ptrace
from pybuild.runtime.kernel.syscalls import RLIMIT_LOCKS
from pybuild.runtime.sandbox.inside.seccomp import (
    ALLOW,
    EBUSY,
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
    by_architecture,
    intervals,
    packed,
    returning,
)

_REFUSED = """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp
    chroot pivot_root mount umount umount2 fsopen fsconfig fsmount fspick move_mount mount_setattr unshare setns
    open_tree open_tree_attr open_by_handle_at migrate_pages move_pages bpf perf_event_open keyctl userfaultfd
"""
"""Calls by which a process can enter another one, or leave the root. The usual filter refuses some of them as well, but
the user may have given another one."""
_ABSENT = "clone3 pidfd_send_signal io_uring_setup io_uring_enter io_uring_register"
"""Calls whose arguments are in memory, or a pidfd, which may have come over a socket. They fail with ENOSYS, for which
programs have another way."""
_NAMING = {
    "tkill": (ONE, 0),
    "tgkill": (ONE, 0),
    "rt_sigqueueinfo": (ONE, 0),
    "rt_tgsigqueueinfo": (ONE, 0),
    "pidfd_open": (OPENING, 0),
    "sched_setaffinity": (ONE, 0),
    "sched_setscheduler": (ONE, 0),
    "sched_setparam": (ONE, 0),
    "sched_setattr": (ONE, 0),
    "kill": (MANY, 0),
    "setpriority": (PRIORITY, 1),
    "ioprio_set": (IO_PRIORITY, 1),
    "setpgid": (NONE, 0),
    "setsid": (NONE, 0),
    # Left to the keeper for some values of another argument: see `_CONDITIONAL`.
    "prlimit64": (ONE, 0),
    "fcntl": (MANY, 2),
    "fcntl64": (MANY, 2),
}
"""The calls that are left to the keeper: their kind, and the index of the number among the arguments."""
# The flags CLONE_NEW* of clone(2) together, and numbers of fcntl(2) and ioctl(2).
_NEW_NAMESPACES, _CLONE_UNTRACED = 0x7E020000, 0x00800000
# By these calls a process makes the kernel send SIGIO or SIGURG to another one. F_SETOWN alone names it by value, and
# is left to the keeper; the others point to memory, and are refused.
_F_SETOWN, _F_SETOWN_EX = 8, 15
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_NEW_LISTENER = 1 << 3  # SECCOMP_FILTER_FLAG_NEW_LISTENER


def _chosen(index: int, answers: dict[int, Code], otherwise: Code) -> Code:
    """Return the program that has *answers* for values of the argument at *index*."""
    steps: tuple[Instruction, ...] = (argument(index),)
    for value, answer in answers.items():
        steps = (*steps, Instruction(JEQ, value, jf=len(answer)), *answer)
    return (*steps, *otherwise)


def _clone() -> Code:
    refused = Instruction(JSET, _NEW_NAMESPACES | _CLONE_UNTRACED, jt=1)
    return (argument(0), refused, *returning(ALLOW), *returning(EPERM))


def _seccomp() -> Code:
    """Return the program that refuses a listener, with the errno that the kernel has for a second one.

    Its answer would count in place of ours: USER_NOTIF takes precedence over TRACE, and the kernel would carry out a
    call that a listener lets continue.
    """
    refused = Instruction(JSET, _NEW_LISTENER, jt=1)
    return (argument(1), refused, *returning(ALLOW), *returning(EBUSY))


def _locks(index: int, otherwise: Code) -> Code:
    """Return the program that ignores changes of RLIMIT_LOCKS, the mark, and has *otherwise* for other limits.

    They seem to succeed, because pam_limits sets every limit and fails if one is refused.
    """
    return _chosen(index, {RLIMIT_LOCKS: returning(SUCCEED)}, otherwise)


_CONDITIONAL: dict[str, Callable[[], Code]] = {
    "clone": _clone,
    "seccomp": _seccomp,
    "setrlimit": lambda: _locks(0, returning(ALLOW)),
    # 0 is the caller itself.
    "prlimit64": lambda: _locks(1, _chosen(0, {0: returning(ALLOW)}, returning(TRACE))),
    **dict.fromkeys(
        ("fcntl", "fcntl64"),
        lambda: _chosen(1, {_F_SETOWN: returning(TRACE), _F_SETOWN_EX: returning(EPERM)}, returning(ALLOW)),
    ),
    "ioctl": lambda: _chosen(1, {_FIOSETOWN: returning(EPERM), _SIOCSPGRP: returning(EPERM)}, returning(ALLOW)),
}


def _verdict(name: str) -> Code:
    if name in _CONDITIONAL:
        return _CONDITIONAL[name]()
    if name in _NAMING:
        return returning(TRACE)
    if name in _REFUSED.split():
        return returning(EPERM)
    return returning(ENOSYS if name in _ABSENT.split() else ALLOW)


_PATH_AT = {"open": 0, "openat": 1, "openat2": 1}


@cache
def opening_filter() -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Return the program that passes calls of open(2) on, and their numbers, each with the index of the path."""
    tables = MACHINES[os.uname().machine]
    notified = returning(NOTIFY)
    blocks = []
    for arch, table in tables:
        codes = {number: notified if name in _PATH_AT else returning(ALLOW) for name, number in table.items()}
        blocks.append((arch, intervals(codes, returning(ALLOW), returning(ENOSYS))))
    # One mapping for all architectures of a machine, since none has the number of one of these calls for another.
    calls = tuple((number, _PATH_AT[name]) for _, table in tables for name, number in table.items() if name in _PATH_AT)
    return packed(by_architecture(blocks)), calls


@cache
def own_filter() -> bytes:
    """Return the filter for this machine.

    Raises:
        SandboxUnavailable: there is no table of its system calls.
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
    return packed(by_architecture(blocks))


def traced_calls() -> tuple[tuple[int, int, int, int], ...]:
    """Return the calls for which `own_filter` stops the caller: architecture, number, kind, index of the argument."""
    tables = MACHINES[os.uname().machine]
    return tuple((arch, table[name], *_NAMING[name]) for arch, table in tables for name in _NAMING if name in table)
