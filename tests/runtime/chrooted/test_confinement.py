"""What the filter of a chroot refuses by itself."""

import ctypes
import errno
import mmap
import os
import resource
import signal
import struct
import subprocess
import time
from collections.abc import Callable

import pytest

from pybuild.runtime.kernel.passing import receive, send, socket_pair
from pybuild.runtime.sandbox.inside.seccomp_tables import AARCH64, X86_64
from tests.runtime.chrooted.traced import result

_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_UNTRACED = 0x00800000
_RLIMIT_LOCKS = 10
_TABLE = AARCH64 if os.uname().machine == "aarch64" else X86_64
_F_SETOWN_EX, _SIGEV_THREAD_ID, _AT_FDCWD, _NEW_USER = 15, 4, -100, 0x10000000
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902


def _call(name: str, *arguments: object) -> str:
    """Make a system call; return "done" or the name of the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    if libc.syscall(ctypes.c_long(_TABLE[name]), *words) < 0:
        return errno.errorcode[ctypes.get_errno()]
    return "done"


def _info(number: int) -> object:
    """A ``siginfo_t`` for a signal that a program queues."""
    return ctypes.create_string_buffer(struct.pack("=iii", number, 0, -1), 128)


_SIGNAL = signal.SIGTERM
OUTWARDS: dict[str, tuple[str, Callable[[int], tuple[object, ...]]]] = {
    "queue": ("rt_sigqueueinfo", lambda pid: (pid, _SIGNAL, _info(_SIGNAL))),
    "queue to a thread": ("rt_tgsigqueueinfo", lambda pid: (pid, pid, _SIGNAL, _info(_SIGNAL))),
    "kill a thread": ("tkill", lambda pid: (pid, _SIGNAL)),
    "kill a thread of a process": ("tgkill", lambda pid: (pid, pid, _SIGNAL)),
    "kill the group by the higher half": ("kill", lambda pid: (-pid & 0xFFFFFFFF | 1 << 40, _SIGNAL)),
    "kill the smallest number": ("kill", lambda _: (-(1 << 31), _SIGNAL)),
    "priority of a group": ("setpriority", lambda pid: (1, pid, 5)),
    "priority of a user": ("setpriority", lambda _: (2, 0, 5)),
    "priority of reading": ("ioprio_set", lambda pid: (1, pid, 3 << 13)),
    "priority of reading for a user": ("ioprio_set", lambda _: (3, 0, 3 << 13)),
    "parameters": ("sched_setparam", lambda pid: (pid, ctypes.create_string_buffer(8))),
    "attributes": (
        "sched_setattr",
        lambda pid: (pid, ctypes.create_string_buffer(struct.pack("=IIQi", 48, 3, 0, 5), 48), 0),
    ),
    "trace": ("ptrace", lambda pid: (0x4206, pid, 0, 0)),
    "be traced": ("ptrace", lambda _: (0, 0, 0, 0)),
    "read memory": ("process_vm_readv", lambda pid: (pid, 0, 0, 0, 0, 0)),
    "write memory": ("process_vm_writev", lambda pid: (pid, 0, 0, 0, 0, 0)),
    "compare": ("kcmp", lambda pid: (pid, pid, 0, 0, 0)),
    "move pages": ("migrate_pages", lambda pid: (pid, 0, 0, 0)),
    "owner of a descriptor": (
        "fcntl",
        lambda pid: (1, _F_SETOWN_EX, ctypes.create_string_buffer(struct.pack("=ii", 1, pid))),
    ),
    "owner of a socket": ("ioctl", lambda pid: (1, _FIOSETOWN, ctypes.create_string_buffer(struct.pack("=i", pid)))),
    "group of a socket": ("ioctl", lambda pid: (1, _SIOCSPGRP, ctypes.create_string_buffer(struct.pack("=i", -pid)))),
}


@pytest.mark.parametrize("name", OUTWARDS)
def test_no_call_reaches_a_process_outside(outside: int, name: str) -> None:
    call, arguments = OUTWARDS[name]
    for number in (outside, os.getpid()):
        assert result(lambda number=number: _call(call, *arguments(number))) == "EPERM"


def test_the_keeper_is_a_process_outside() -> None:
    def attacked() -> set[str]:
        keeper = os.getppid()
        return {_call(call, *arguments(keeper)) for call, arguments in OUTWARDS.values()}

    assert result(attacked) == "{'EPERM'}"


def test_a_timer_signals_no_thread_of_another_process(outside: int) -> None:
    event = ctypes.create_string_buffer(struct.pack("=qiii", 0, _SIGNAL, _SIGEV_THREAD_ID, outside), 64)
    assert result(lambda: _call("timer_create", 1, event, ctypes.byref(ctypes.c_int()))) == "EINVAL"


def test_a_descriptor_of_a_process_outside_is_of_no_use(outside: int) -> None:
    """One that came over a socket, from somebody who wants to help."""
    ours, theirs = socket_pair()
    pidfd = os.pidfd_open(outside)
    send(ours, b"p", pidfd)

    def used() -> list[str]:
        _, (given,) = receive(theirs, 1)
        return [
            _call("pidfd_send_signal", given, _SIGNAL, 0, 0),
            _call("pidfd_getfd", given, 1, 0),
            _call("setns", given, 0x20000),
            _call("process_madvise", given, 0, 0, 21, 0),
            _call("process_mrelease", given, 0),
        ]

    try:
        assert result(used) == "['ENOSYS', 'EPERM', 'EPERM', 'EPERM', 'EPERM']"
    finally:
        for fd in (ours, theirs, pidfd):
            os.close(fd)


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("chroot", (b"/",), "EPERM"),
        ("unshare", (_NEW_USER,), "EPERM"),
        ("clone", (_NEW_USER | 17, 0, 0, 0, 0), "EPERM"),
        ("clone3", (0, 0), "ENOSYS"),
        ("mount", (b"none", b"/", b"tmpfs", 0, 0), "EPERM"),
        ("umount2", (b"/", 2), "EPERM"),
        ("pivot_root", (b"/", b"/"), "EPERM"),
        ("open_tree", (_AT_FDCWD, b"/", 1), "EPERM"),
        ("open_tree_attr", (_AT_FDCWD, b"/", 1, 0, 0), "EPERM"),
        ("fsopen", (b"tmpfs", 0), "EPERM"),
        ("move_mount", (_AT_FDCWD, b"/", _AT_FDCWD, b"/", 0), "EPERM"),
        ("open_by_handle_at", (_AT_FDCWD, 0, 0), "EPERM"),
        ("userfaultfd", (1,), "EPERM"),
        ("io_uring_setup", (1, 0), "ENOSYS"),
        ("io_uring_enter", (1, 1, 0, 0, 0), "ENOSYS"),
        ("bpf", (0, 0, 0), "EPERM"),
        ("perf_event_open", (0, 0, -1, -1, 0), "EPERM"),
        ("keyctl", (0, -3, 0), "EPERM"),
    ],
)
def test_ways_to_leave_the_root_are_refused_whatever_the_usual_filter_allows(
    name: str, arguments: tuple[object, ...], answer: str
) -> None:
    assert result(lambda: _call(name, *arguments)) == answer


def test_a_program_in_memory_is_followed_like_any_other(outside: int) -> None:
    def executed() -> str:
        program = os.memfd_create("program", 0)
        os.write(
            program, b"#!/bin/sh\nkill -9 %d 2> /dev/null || kill -9 -%d 2> /dev/null || exit 7\n" % (outside, outside)
        )
        child = os.fork()
        if child == 0:
            os.execve(program, ["program"], {})
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    assert result(executed) == "7"


_KILL_OF_I386 = 37
_INT_0X80 = b"\x53\x89\xf8\x89\xf3\x89\xd1\xcd\x80\x5b\xc3"
"""push rbx; mov eax, edi; mov ebx, esi; mov ecx, edx; int 0x80; pop rbx; ret"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86_64 has these calls")
def test_calls_of_i386_reach_nobody_outside_either(outside: int) -> None:
    """A kernel without them kills whoever tries, which is as good."""

    def called() -> int:
        memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        memory.write(_INT_0X80)
        kill = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(
            ctypes.addressof(ctypes.c_char.from_buffer(memory))
        )
        child = os.fork()
        if child == 0:
            os._exit(-kill(_KILL_OF_I386, outside, _SIGNAL) & 0xFF)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert int(result(called)) in {errno.EPERM, errno.ENOSYS, -signal.SIGSEGV}


def test_daemons_end_with_the_step_however_they_detach() -> None:
    """Double forks, sessions and groups of their own, signals that are ignored, parents that have ended, vfork."""

    def left() -> str:
        reader, writer = os.pipe()
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                if os.fork() == 0:
                    os.setpgid(0, 0)
                    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as last:
                        os.write(writer, b"%d\n" % last.pid)
                os._exit(0)
        numbers = b""
        while numbers.count(b"\n") < 5:
            numbers += os.read(reader, 100)
        return numbers.decode()

    numbers = [int(each) for each in result(left).split()]
    assert len(numbers) == 5
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_a_flood_of_processes_that_stop_each_other_ends_with_the_first_one() -> None:
    def flood() -> str:
        for _ in range(10):
            if os.fork() == 0:
                while True:
                    child = os.fork()
                    if child == 0:
                        os.kill(os.getppid(), signal.SIGSTOP)
                        os.kill(os.getppid(), signal.SIGCONT)
                        os._exit(0)
                    os.waitpid(child, 0)
        time.sleep(0.2)
        return "ended"

    assert result(flood) == "ended"


def _is_refused(number: int) -> str:
    try:
        os.kill(number, 0)
    except PermissionError:
        return "refused"
    return "done"


def test_all_processes_at_once_are_refused() -> None:
    assert result(lambda: _is_refused(-1)) == "refused"


def test_nobody_is_forked_without_being_followed() -> None:
    def cloned() -> str:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(_CLONE[os.uname().machine], _CLONE_UNTRACED | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
        return os.strerror(ctypes.get_errno())

    assert result(cloned) == "Operation not permitted"


def test_the_mark_of_a_run_stays() -> None:
    def changed() -> bool:
        before = resource.getrlimit(_RLIMIT_LOCKS)
        resource.setrlimit(_RLIMIT_LOCKS, (5, 5))
        return resource.getrlimit(_RLIMIT_LOCKS) == before

    assert result(changed) == "True"
