"""The smallest program for each architecture: an ELF file of one segment that exits at once with code 0.

The kernel chooses an emulator by the ELF header, so such a program shows whether there is one.
"""

import struct
from typing import NamedTuple

_BASE = 0x400000


class _Machine(NamedTuple):
    """*bits* and *order* (of `struct`) of its ELF files, e_machine, e_flags, and ``exit(0)`` in its own code."""

    bits: int
    order: str
    number: int
    flags: int
    code: bytes


def _words(order: str, *words: int) -> bytes:
    return struct.pack(f"{order}{len(words)}I", *words)


# The code puts the number of exit(2) and a 0 into the registers for a system call, and makes the call (syscall(2)).
_MACHINES = {
    "386": _Machine(32, "<", 3, 0, bytes.fromhex("b801000000 31db cd80")),
    "amd64": _Machine(64, "<", 62, 0, bytes.fromhex("b83c000000 31ff 0f05")),
    "arm": _Machine(32, "<", 40, 0x05000000, _words("<", 0xE3A07001, 0xE3A00000, 0xEF000000)),
    "arm64": _Machine(64, "<", 183, 0, _words("<", 0xD2800BA8, 0xD2800000, 0xD4000001)),
    "loong64": _Machine(64, "<", 258, 3, _words("<", 0x0381740B, 0x03800004, 0x002B0000)),
    "mips64le": _Machine(64, "<", 8, 0x60000000, _words("<", 0x240213C2, 0x24040000, 0x0000000C)),
    "ppc64le": _Machine(64, "<", 21, 2, _words("<", 0x38000001, 0x38600000, 0x44000002)),
    "riscv64": _Machine(64, "<", 243, 0, _words("<", 0x05D00893, 0x00000513, 0x00000073)),
    "s390x": _Machine(64, ">", 22, 0, bytes.fromhex("a7290000 0a01")),
}


def smallest_program(architecture: str) -> bytes | None:
    """Return the program for *architecture*, as OCI names it; None for an unknown one."""
    machine = _MACHINES.get(architecture)
    if machine is None:
        return None
    wide = machine.bits == 64
    word = "Q" if wide else "I"
    header, segment = (64, 56) if wide else (52, 32)
    start = header + segment
    identity = b"\x7fELF" + bytes([2 if wide else 1, 1 if machine.order == "<" else 2, 1]) + bytes(9)
    fields = (2, machine.number, 1, _BASE + start, header, 0, machine.flags, header, segment, 1, 0, 0, 0)
    size = start + len(machine.code)
    # In a 64-bit program header the permissions (5: read, execute) are before the offset, in a 32-bit one after the
    # sizes.
    place, length, align = (0, _BASE, _BASE), (size, size), 0x10000
    numbers = (1, 5, *place, *length, align) if wide else (1, *place, *length, 5, align)
    return b"".join(
        [
            identity,
            struct.pack(f"{machine.order}HHI{word}{word}{word}IHHHHHH", *fields),
            struct.pack(f"{machine.order}IIQQQQQQ" if wide else f"{machine.order}IIIIIIII", *numbers),
            machine.code,
        ]
    )
