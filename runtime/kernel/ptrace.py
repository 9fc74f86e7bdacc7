"""ptrace(2): tracing processes, and answering the system calls that their filter passes to the tracer."""

import ctypes
import os

PTRACE_CONT, PTRACE_SYSCALL, PTRACE_LISTEN = 7, 24, 0x4208
SYSCALL_STOP = 5 | 0x80
"""The signal of a stop after PTRACE_SYSCALL: SIGTRAP, with a bit that PTRACE_O_TRACESYSGOOD adds."""
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_SECCOMP, EVENT_STOP = 1, 2, 3, 4, 7, 128
_PTRACE_POKEUSER, _PTRACE_GETEVENTMSG, _PTRACE_GETREGSET, _PTRACE_SETREGSET = 6, 0x4201, 0x4204, 0x4205
_PTRACE_SEIZE, _PTRACE_GET_SYSCALL_INFO = 0x4206, 0x420E
_OPTIONS = 1 << 20 | 1 | sum(1 << event for event in (EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_SECCOMP))
"""PTRACE_O_EXITKILL, PTRACE_O_TRACESYSGOOD, and a stop at each of these events."""
# Offsets in struct user_regs_struct (sys/user.h): the number of the call, and what it returns.
_ORIG_RAX, _RAX = 15 * 8, 10 * 8
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


def seize(pid: int) -> None:
    """Trace *pid* and all that it forks. The kernel kills them when this thread ends."""
    # Not PTRACE_ATTACH, which stops the process, and has no way to leave it stopped by a signal (PTRACE_LISTEN).
    _ptrace(_PTRACE_SEIZE, pid, None, _OPTIONS)


def resume(pid: int, signal: int = 0, *, request: int = PTRACE_CONT) -> None:
    """Let a stopped process continue, and deliver *signal* to it if that is not 0."""
    try:
        _ptrace(request, pid, None, signal)
    except ProcessLookupError:  # it was killed meanwhile
        return


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
