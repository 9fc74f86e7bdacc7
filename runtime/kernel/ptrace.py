"""ptrace(2): tracing processes, and answering the system calls that their filter passes to the tracer."""

import ctypes
import os
import struct
from signal import SIGCHLD, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU

from pybuild.runtime.kernel.syscalls import block_signals

PTRACE_CONT, PTRACE_SYSCALL, PTRACE_LISTEN = 7, 24, 0x4208
WALL = 0x40000000
"""__WALL of waitpid(2): also for threads, and for children whose end sends another signal than SIGCHLD."""
SYSCALL_STOP = 5 | 0x80
"""The signal of a stop after PTRACE_SYSCALL: SIGTRAP, with a bit that PTRACE_O_TRACESYSGOOD adds."""
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_SECCOMP, EVENT_STOP = 1, 2, 3, 4, 7, 128
_PTRACE_POKEUSER, _PTRACE_GETEVENTMSG, _PTRACE_GETREGSET, _PTRACE_SETREGSET = 6, 0x4201, 0x4204, 0x4205
_PTRACE_DETACH, _PTRACE_SEIZE, _PTRACE_GET_SYSCALL_INFO = 17, 0x4206, 0x420E
_OPTIONS = 1 << 20 | 1 | sum(1 << event for event in (EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_SECCOMP))
"""PTRACE_O_EXITKILL, PTRACE_O_TRACESYSGOOD, and a stop at each of these events."""
_STOPPING = frozenset((SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU))
# Offsets in struct user_regs_struct (sys/user.h): the number of the call, and what it returns.
_ORIG_RAX, _RAX = 15 * 8, 10 * 8
_X86_REGISTERS = struct.Struct("=27q")
_X86_ARGUMENTS = (14, 13, 12, 7, 9, 8)
"""rdi, rsi, rdx, r10, r8 and r9, by their places among the registers."""
_ERESTARTSYS, _ERESTARTNOINTR = -512, -513  # linux/errno.h of the kernel itself: no program sees them
_NT_PRSTATUS, _NT_ARM_SYSTEM_CALL = 1, 0x404
_ARM_REGISTERS = 34 * 8
MACHINES = ("x86_64", "aarch64")
"""The machines whose registers `answer` knows."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class _SeccompInfo(ctypes.Structure):
    """``struct ptrace_syscall_info`` at a stop that a filter asked for."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("data", ctypes.c_uint32),
    )


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _ptrace(request: int, pid: int, address: object = None, data: object = None) -> None:
    if _libc.ptrace(request, pid, address, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(pid))


def seize(pid: int, options: int = _OPTIONS) -> None:
    """Trace *pid* and all that it forks. With the default *options* the kernel kills them when this thread ends."""
    # Not PTRACE_ATTACH, which stops the process, and has no way to leave it stopped by a signal (PTRACE_LISTEN).
    _ptrace(_PTRACE_SEIZE, pid, None, options)


def resume(pid: int, signal: int = 0, *, request: int = PTRACE_CONT) -> None:
    """Let a stopped process continue, and deliver *signal* to it if that is not 0."""
    try:
        _ptrace(request, pid, None, signal)
    except ProcessLookupError:  # it was killed meanwhile
        return


def go_on(pid: int, status: int) -> None:
    """Let *pid* continue after a stop with the wait status *status*.

    One that SIGSTOP or a terminal has stopped stays so until SIGCONT.
    """
    event, signal = status >> 16, os.WSTOPSIG(status)
    if event == 0:
        resume(pid, 0 if signal == SYSCALL_STOP else signal)
    elif event == EVENT_STOP and signal in _STOPPING:
        resume(pid, request=PTRACE_LISTEN)
    else:
        resume(pid)


def detach(pid: int) -> None:
    """Let a stopped process continue, and trace it no longer."""
    resume(pid, request=_PTRACE_DETACH)


def stop_descriptor() -> int:
    """Block all signals, and return a descriptor that is readable after a traced process has stopped or ended."""
    block_signals()
    mask = ctypes.create_string_buffer((1 << SIGCHLD - 1).to_bytes(128, "little"), 128)
    fd: int = _libc.signalfd(-1, mask, os.O_CLOEXEC)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


def interrupted_call(pid: int) -> tuple[int, tuple[int, ...]] | None:
    """Return number and arguments of the call that the signal of a stop of *pid* has ended, on x86_64.

    None if there is no such call, or if it does not depend on SA_RESTART what becomes of it.
    """
    registers = ctypes.create_string_buffer(_X86_REGISTERS.size)
    _registers(_PTRACE_GETREGSET, pid, _NT_PRSTATUS, registers)
    values = _X86_REGISTERS.unpack(registers.raw)
    if values[_RAX // 8] != _ERESTARTSYS:
        return None
    return values[_ORIG_RAX // 8], tuple(values[register] & (1 << 64) - 1 for register in _X86_ARGUMENTS)


def repeat_call(pid: int) -> None:
    """Have the kernel make an `interrupted_call` again after the handler of the signal."""
    _ptrace(_PTRACE_POKEUSER, pid, _RAX, _ERESTARTNOINTR)


def event_message(pid: int) -> int:
    """Return the message of the last event of *pid*: after a fork the number of the new process (ptrace(2))."""
    message = ctypes.c_ulong()
    _ptrace(_PTRACE_GETEVENTMSG, pid, None, ctypes.addressof(message))
    return message.value


def filtered_call(pid: int) -> tuple[int, int, tuple[int, ...]]:
    """Return architecture, number and arguments of the call at which a filter has stopped *pid*."""
    info = _SeccompInfo()
    _ptrace(_PTRACE_GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
    return info.arch, info.number, tuple(info.arguments)


def answer(pid: int, result: int) -> None:
    """Skip the call at which *pid* has stopped, and have it return *result*, a negative errno for failure.

    A call with the number -1 is skipped. On aarch64 the return value is the first register.
    """
    if os.uname().machine == "aarch64":
        _registers(
            _PTRACE_SETREGSET,
            pid,
            _NT_ARM_SYSTEM_CALL,
            ctypes.create_string_buffer((-1).to_bytes(4, "little", signed=True), 4),
        )
        registers = ctypes.create_string_buffer(_ARM_REGISTERS)
        _registers(_PTRACE_GETREGSET, pid, _NT_PRSTATUS, registers)
        changed = result.to_bytes(8, "little", signed=True) + registers.raw[8:]
        _registers(_PTRACE_SETREGSET, pid, _NT_PRSTATUS, ctypes.create_string_buffer(changed, _ARM_REGISTERS))
        return
    _ptrace(_PTRACE_POKEUSER, pid, _ORIG_RAX, -1)
    _ptrace(_PTRACE_POKEUSER, pid, _RAX, result)


def _registers(request: int, pid: int, kind: int, value: "ctypes.Array[ctypes.c_char]") -> None:
    vector = _Vector(ctypes.addressof(value), ctypes.sizeof(value))
    _ptrace(request, pid, kind, ctypes.addressof(vector))
