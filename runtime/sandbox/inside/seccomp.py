"""The default system-call filter of a sandbox, compiled to BPF. It permits what Docker's default filter permits.

All calls in the tables are allowed, except those that are listed here. Numbers that are not in the tables fail with
ENOSYS, not with EPERM, because only then C libraries fall back to an older call.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.sandbox.inside.seccomp_tables import AARCH64, I386, X86_64, Table
from pybuild.runtime.values import positional

# Answers of a filter (SECCOMP_RET_* of seccomp(2)). 0x0005 is SECCOMP_RET_ERRNO, whose low half is the errno.
ALLOW = 0x7FFF0000
TRACE = 0x7FF00000
"""The call waits for the tracer, which gets the low half."""
NOTIFY = 0x7FC00000
"""The call waits for the holder of the filter's listener."""
SUCCEED = 0x00050000
"""The call does nothing and returns 0."""
EPERM = 0x00050001
EBUSY = 0x00050010
ENOSYS = 0x00050026
KILL_PROCESS = 0x80000000

AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REFUSED = _names(
    # The shape of the mount tree, namespaces and the name of the machine.
    """
    mount umount umount2 pivot_root fsopen fsconfig fsmount fspick move_mount mount_setattr open_tree open_tree_attr
    unshare setns sethostname setdomainname
    """
    # The kernel itself, its clock, its keys and security modules.
    """
    init_module finit_module delete_module create_module query_module get_kernel_syms kexec_load kexec_file_load reboot
    settimeofday stime clock_settime clock_settime64 add_key request_key keyctl lsm_set_self_attr
    """
    # Large attack surface, and ways into other processes or past path permissions.
    """
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    kcmp pidfd_getfd process_madvise lookup_dcookie fanotify_init open_by_handle_at
    """
    # Memory placement, storage, accounting, ports and terminals of the whole machine.
    """
    mbind get_mempolicy set_mempolicy set_mempolicy_home_node migrate_pages move_pages
    swapon swapoff quotactl quotactl_fd acct syslog vhangup iopl ioperm
    """
    # Obsolete, or reserved numbers without a meaning.
    """
    vm86 vm86old uselib ustat sysfs _sysctl nfsservctl bdflush afs_syscall break epoll_ctl_old epoll_wait_old ftime
    getpmsg gtty idle lock mpx prof profil putpmsg security stty tuxcall ulimit vserver
    """
)

# Calls for which the kernel requires a capability: as in Docker's profile, they are allowed to who has it.
_UNLOCKED = (
    (
        mask("SYS_ADMIN"),
        """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_set_self_attr mount
        mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog
        umount umount2 unshare
        """,
    ),
    (mask("BPF"), "bpf"),
    (mask("DAC_READ_SEARCH"), "open_by_handle_at"),
    (mask("PERFMON"), "perf_event_open"),
    (mask("SYSLOG"), "syslog"),
    (mask("SYS_BOOT"), "reboot"),
    (mask("SYS_MODULE"), "delete_module finit_module init_module"),
    (mask("SYS_NICE"), "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (mask("SYS_PACCT"), "acct"),
    (mask("SYS_PTRACE"), "kcmp pidfd_getfd process_madvise"),
    (mask("SYS_RAWIO"), "ioperm iopl"),
    (mask("SYS_TIME"), "clock_settime clock_settime64 settimeofday stime"),
    (mask("SYS_TTY_CONFIG"), "vhangup"),
)

# Every namespace that clone(2) can make: a new user namespace gives all capabilities over the others.
_CLONE_NAMESPACES = 0x7E020000
# PER_LINUX and PER_LINUX32, each also with UNAME26, and the value that only asks: those of Docker's filter. Others
# switch off protections, such as ADDR_NO_RANDOMIZE (personality(2)).
_PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)
# (first, last) of allowed socket families. Refused are the kernel's cryptography (38, AF_ALG), the hypervisor (40,
# AF_VSOCK), and obsolete network protocols, whose code is hardly maintained.
_FAMILIES = ((0, 11), (13, 18), (21, 22), (24, 24), (26, 33), (35, 36), (39, 39), (41, 45))
# Both put input into a terminal, which a shell of the caller would then execute (CVE-2017-5226).
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

# Opcodes of classic BPF (linux/bpf_common.h), and offsets in struct seccomp_data (seccomp(2)).
LOAD, JEQ, JGE, JSET = 0x20, 0x15, 0x35, 0x45
_JA, _RET = 0x05, 0x06
NUMBER_OFFSET, ARCH_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16


@positional
class Instruction:
    """One BPF instruction."""

    code: int
    k: int
    jt: int = 0
    jf: int = 0

    def pack(self) -> bytes:
        """Return the kernel's ``struct sock_filter``."""
        return self.code.to_bytes(2, "little") + bytes((self.jt, self.jf)) + self.k.to_bytes(4, "little")


Code = tuple[Instruction, ...]


@cache
def returning(verdict: int) -> Code:
    """Return the program with this verdict on every call."""
    return (Instruction(_RET, verdict),)


def argument(index: int) -> Instruction:
    """Return the instruction that loads an argument of the call."""
    # The low half only: the kernel truncates these arguments to int, so with both halves a caller could evade the test.
    return Instruction(LOAD, ARGUMENTS_OFFSET + 8 * index)


def _one_of(index: int, values: Iterable[int], *, then: int, otherwise: int) -> Code:
    listed = tuple(values)
    # A hit jumps over the tests that follow, and over the other verdict.
    tests = tuple(Instruction(JEQ, value, jt=len(listed) - at) for at, value in enumerate(listed))
    return (argument(index), *tests, *returning(otherwise), *returning(then))


def _within(index: int, ranges: Iterable[tuple[int, int]]) -> Code:
    """Allow calls whose argument is in one of the sorted *ranges* (first, last)."""
    steps = [step for first, last in ranges for step in ((first, returning(ALLOW)), (last + 1, returning(EPERM)))]
    return (argument(index), *search(steps))


def _no_namespaces() -> Code:
    return (argument(0), Instruction(JSET, _CLONE_NAMESPACES, jt=1), *returning(ALLOW), *returning(EPERM))


_CONDITIONAL: dict[str, Callable[[], Code]] = {
    "clone": _no_namespaces,
    # The flags of clone3 lie in memory, where a filter cannot look; ENOSYS makes C libraries use clone.
    "clone3": lambda: returning(ENOSYS),
    "personality": lambda: _one_of(0, _PERSONALITIES, then=ALLOW, otherwise=EPERM),
    "socket": lambda: _within(0, _FAMILIES),
    "ioctl": lambda: _one_of(1, (_TIOCSTI, _TIOCLINUX), then=EPERM, otherwise=ALLOW),
}


def _unlocked(capabilities: int) -> frozenset[str]:
    """Return the names of calls that *capabilities* allow."""
    return frozenset(name for unlocking, names in _UNLOCKED if unlocking & capabilities for name in names.split())


def _verdict(name: str, unlocked: frozenset[str]) -> Code:
    if name in unlocked:
        return returning(ALLOW)
    if name in _CONDITIONAL:
        return _CONDITIONAL[name]()
    return returning(EPERM if name in _REFUSED else ALLOW)


def intervals(codes: Mapping[int, Code], gaps: Code, beyond: Code) -> list[tuple[int, Code]]:
    """Return sorted pairs (first number, code), each of which is valid up to the number of the next one.

    *codes* are those of known calls, *gaps* is for numbers between them, *beyond* for those after the last one.
    """
    end = max(codes, default=-1) + 1
    steps: list[tuple[int, Code]] = []
    for number in range(end + 1):
        code = codes.get(number, gaps) if number < end else beyond
        if not steps or steps[-1][1] != code:
            steps.append((number, code))
    return steps


def _intervals(table: Table, unlocked: frozenset[str]) -> list[tuple[int, Code]]:
    codes = {number: _verdict(name, unlocked) for name, number in table.items()}
    return intervals(codes, gaps=returning(ENOSYS), beyond=returning(ENOSYS))


def search(steps: Sequence[tuple[int, Code]]) -> Code:
    """Return a binary search for the number of a call over *steps*, pairs as from `intervals`."""
    if len(steps) == 1:
        return steps[0][1]
    middle = len(steps) // 2
    left, right, boundary = search(steps[:middle]), search(steps[middle:]), steps[middle][0]
    if len(left) <= 255:
        return (Instruction(JGE, boundary, jt=len(left)), *left, *right)
    # The distance of a conditional jump has 8 bits, that of an unconditional one 32.
    return (Instruction(JGE, boundary, jf=1), Instruction(_JA, len(left)), *left, *right)


def by_architecture(blocks: Iterable[tuple[int, Sequence[tuple[int, Code]]]]) -> Code:
    """Return the filter made of an (architecture, `intervals`) for each. Other architectures kill the process.

    The calls of x32 have the architecture of x86_64 and bit 30 set, so they are in the last interval of that.
    """
    code: list[Instruction] = [Instruction(LOAD, ARCH_OFFSET)]
    for arch, intervals in blocks:
        body = (Instruction(LOAD, NUMBER_OFFSET), *search(intervals))
        code += [Instruction(JEQ, arch, jt=1), Instruction(_JA, len(body)), *body]
    return (*code, *returning(KILL_PROCESS))


def packed(code: Code) -> bytes:
    """Return the program in the format of the kernel."""
    return b"".join(instruction.pack() for instruction in code)


MACHINES: dict[str, tuple[tuple[int, Table], ...]] = {
    "x86_64": ((AUDIT_ARCH_X86_64, X86_64), (AUDIT_ARCH_I386, I386)),
    "aarch64": ((AUDIT_ARCH_AARCH64, AARCH64),),
}


def compile_filter(machine: str, capabilities: int = DEFAULT) -> Code:
    """Return the instructions of the filter for a process with *capabilities* on *machine*.

    Raises KeyError for a machine without a table.
    """
    unlocked = _unlocked(capabilities)
    return by_architecture((arch, _intervals(table, unlocked)) for arch, table in MACHINES[machine])


@lru_cache(maxsize=1)
def default_filter(capabilities: int = DEFAULT) -> bytes:
    """Return the filter of a process with *capabilities* for this machine.

    Raises SandboxUnavailable if there is no table for it: a process only runs without a filter if the user wants that.
    """
    machine = os.uname().machine
    if machine not in MACHINES:
        raise SandboxUnavailable(
            f"there is no system-call filter for {machine}", "only steps that run insecure work on this machine"
        )
    return packed(compile_filter(machine, capabilities))
