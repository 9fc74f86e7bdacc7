"""The filter of a supervised step: which calls are passed to its supervisor, and which it has to do without."""

from functools import cache

from pybuild.runtime.errors import SandboxUnavailable
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
    intervals,
    packed,
    returning,
    search,
)

_RLIMIT_LOCKS, _PR_SET_KEEPCAPS = 10, 8
_O_CREAT = 0x40
CALLS = frozenset(
    """
    stat lstat fstat newfstatat statx chown lchown fchown fchownat
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr
    removexattr lremovexattr fremovexattr
    mkdir mkdirat symlink symlinkat mknod mknodat creat open openat openat2
    setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups
    getuid geteuid getgid getegid getresuid getresgid getgroups prctl chroot
    """.split()
)
KEEPING = frozenset("rename renameat renameat2 link linkat utimensat".split())
"""Calls that matter only where files below have an owner that is no attribute of theirs."""
_FLAGS = {"open": 1, "openat": 2}
"""Which argument has the flags of a call that only concerns the supervisor when it may create something."""
_WITHOUT = frozenset("setxattrat getxattrat listxattrat removexattrat".split())
"""Calls that can be done by others, and that hide in memory what they are about."""


@cache
def notifying(machine: str, *, keeping: bool = False) -> tuple[bytes, tuple[tuple[int, bytes], ...]]:
    """Return the program, and numbers and names of the calls that it passes on: with *keeping* those of KEEPING, too.

    Programs for another instruction set of the machine, such as i386, find that the kernel has no calls.

    Raises:
        SandboxUnavailable: there is no table for the machine.
    """
    if machine not in MACHINES:
        raise SandboxUnavailable(f"there is no supervisor for {machine}", "use isolation root or userns")
    arch, table = MACHINES[machine][0]
    passed = CALLS | KEEPING if keeping else CALLS
    codes = {number: _verdict(name, passed) for name, number in table.items()}
    steps = intervals(codes, gaps=returning(ENOSYS), beyond=returning(ENOSYS))
    start = (Instruction(LOAD, ARCH_OFFSET), Instruction(JEQ, arch, jt=1), *returning(ENOSYS))
    program = (*start, Instruction(LOAD, NUMBER_OFFSET), *search(steps))
    calls = tuple((number, name.encode()) for name, number in table.items() if name in passed)
    return packed(program), calls


def _locks(resource: int, *, new: int | None) -> Code:
    """Let nobody change the limit by which the kernel passes identities on; pam_limits sets all that there are."""
    is_set = (argument(new), Instruction(JEQ, 0, jt=1)) if new is not None else ()
    passed = len(is_set) + 1
    is_it = (argument(resource), Instruction(JEQ, _RLIMIT_LOCKS, jf=passed))
    return (*is_it, *is_set, *returning(SUCCEED), *returning(ALLOW))


_CONDITIONAL = {
    "setrlimit": lambda: _locks(0, new=None),
    "prlimit64": lambda: _locks(1, new=2),
    # Whoever asks for it goes on changing groups after it has another user id.
    "prctl": lambda: (argument(0), Instruction(JEQ, _PR_SET_KEEPCAPS, jt=1), *returning(ALLOW), *returning(NOTIFY)),
}


def _verdict(name: str, passed: frozenset[str]) -> Code:
    if name in _CONDITIONAL:
        return _CONDITIONAL[name]()
    if name in _FLAGS:
        flags = argument(_FLAGS[name])
        return (flags, Instruction(JSET, _O_CREAT, jt=1), *returning(ALLOW), *returning(NOTIFY))
    if name in passed:
        return returning(NOTIFY)
    return returning(ENOSYS if name in _WITHOUT else ALLOW)
