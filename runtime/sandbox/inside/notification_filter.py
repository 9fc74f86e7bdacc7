"""The filter of a supervised step: which system calls its supervisor answers, and which ones fail with ENOSYS."""

from functools import cache

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.kernel.syscalls import RLIMIT_LOCKS
from pybuild.runtime.sandbox.inside.seccomp import (
    ALLOW,
    ARCH_OFFSET,
    ENOSYS,
    JEQ,
    JSET,
    LOAD,
    MACHINES,
    NOTIFY,
    NUMBER_OFFSET,
    SUCCEED,
    Code,
    Instruction,
    argument,
    default_filter,
    intervals,
    packed,
    returning,
    search,
)

_PR_SET_KEEPCAPS = 8
_O_CREAT = 0x40
CALLS = frozenset(
    """
    stat lstat fstat newfstatat statx chown lchown fchown fchownat
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr
    removexattr lremovexattr fremovexattr
    mkdir mkdirat symlink symlinkat mknod mknodat bind creat open openat openat2
    setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups
    getuid geteuid getgid getegid getresuid getresgid getgroups prctl chroot
    """.split()
)
KEEPING = frozenset(
    """
    rename renameat renameat2 link linkat chmod fchmod fchmodat fchmodat2 utime utimes futimesat utimensat
    """.split()
)
"""Calls by which overlayfs copies files up. Passed on if layers have files whose owner is in no attribute."""
EXECUTING = frozenset(("execve", "execveat"))
"""Calls by which a process gets the ids of a set-user-ID program. Not passed on with no_new_privs."""
HANDLING = frozenset(("rt_sigaction",))
"""Passed on when it sets a handler, on machines whose interrupted calls can be made again (`kernel.ptrace`)."""
_HANDLING_ON = "x86_64"
_FLAGS = {"open": 1, "openat": 2}
"""The argument with the flags, for calls that are passed on only with O_CREAT.

Most calls open what exists, which the kernel does without the supervisor. The flags of openat2 are in memory, where a
filter cannot look, so all of its calls are passed on.
"""
_WITHOUT = frozenset("setxattrat getxattrat listxattrat removexattrat".split())
"""Calls that pass their arguments in a struct, which no filter can read. Programs fall back to the older calls."""


def of_supervisor() -> bytes:
    """Return the filter of a supervisor: the usual one, and what CAP_SYS_PTRACE permits, such as pidfd_getfd(2)."""
    return default_filter(DEFAULT | mask("SYS_PTRACE"))


@cache
def notifying(
    machine: str, *, keeping: bool = False, executing: bool = True
) -> tuple[bytes, tuple[tuple[int, bytes], ...]]:
    """Return the program, and the (number, name) of each call that it passes on.

    Those of KEEPING and EXECUTING are passed on with *keeping* and *executing*, those of HANDLING on some machines.

    All calls of another instruction set of the machine, such as i386, fail with ENOSYS.

    Raises:
        SandboxUnavailable: there is no table for the machine.
    """
    if machine not in MACHINES:
        raise SandboxUnavailable(f"there is no supervisor for {machine}", "use isolation root or userns")
    arch, table = MACHINES[machine][0]
    chosen = ((KEEPING, keeping), (EXECUTING, executing), (HANDLING, machine == _HANDLING_ON))
    passed = CALLS.union(*(names for names, is_chosen in chosen if is_chosen))
    codes = {number: _verdict(name, passed) for name, number in table.items()}
    steps = intervals(codes, gaps=returning(ENOSYS), beyond=returning(ENOSYS))
    # A program for i386 would call by other numbers, and with arguments that the supervisor does not know.
    start = (Instruction(LOAD, ARCH_OFFSET), Instruction(JEQ, arch, jt=1), *returning(ENOSYS))
    program = (*start, Instruction(LOAD, NUMBER_OFFSET), *search(steps))
    calls = tuple((number, name.encode()) for name, number in table.items() if name in passed)
    return packed(program), calls


def _locks(resource: int, *, new: int | None) -> Code:
    """Ignore changes of RLIMIT_LOCKS, which holds the identity of a process. pam_limits sets it and must not fail.

    *resource* is the argument that names the limit, *new* the one that is a null pointer if the limit is only read.
    """
    is_set = (argument(new), Instruction(JEQ, 0, jt=1)) if new is not None else ()
    passed = len(is_set) + 1
    is_it = (argument(resource), Instruction(JEQ, RLIMIT_LOCKS, jf=passed))
    return (*is_it, *is_set, *returning(SUCCEED), *returning(ALLOW))


_CONDITIONAL = {
    "setrlimit": lambda: _locks(0, new=None),
    "prlimit64": lambda: _locks(1, new=2),
    # After PR_SET_KEEPCAPS a process may still change its groups when it has set another user id.
    "prctl": lambda: (argument(0), Instruction(JEQ, _PR_SET_KEEPCAPS, jt=1), *returning(ALLOW), *returning(NOTIFY)),
}


def _verdict(name: str, passed: frozenset[str]) -> Code:
    if name in _CONDITIONAL:
        return _CONDITIONAL[name]()
    if name in _FLAGS:
        flags = argument(_FLAGS[name])
        return (flags, Instruction(JSET, _O_CREAT, jt=1), *returning(ALLOW), *returning(NOTIFY))
    if name in HANDLING & passed:  # with a null pointer it only tells the handler
        return (argument(1), Instruction(JEQ, 0, jf=1), *returning(ALLOW), *returning(NOTIFY))
    if name in passed:
        return returning(NOTIFY)
    return returning(ENOSYS if name in _WITHOUT else ALLOW)
