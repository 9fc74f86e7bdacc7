"""Emulators that a builder registers in its own user namespace, so that the host does not change.

Since Linux 6.7 each user namespace may have its own binfmt_misc. It replaces that of the host for all processes in the
namespace, so it is made only where the host has no emulator for any other machine.
"""

import os
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress

from pybuild.runtime.emulation.smallest import smallest_program
from pybuild.runtime.kernel.detached_mounts import filesystem
from pybuild.runtime.kernel.user_namespace import in_initial_namespace

_PT_INTERP = 3
# Of the ELF header: the offset of the program headers, their size and number, for 32 and 64 bits (elf(5)).
_HEADERS = {1: ("I", 28, 42), 2: ("Q", 32, 54)}
_LOCK = threading.Lock()
_kept: list[int] = []
"""The descriptor of the file system, which exists as long as it is open."""


def register_own(programs: Mapping[str, str]) -> bool:
    """Register emulators for this process and its children; return whether they are registered.

    *programs* maps an architecture, as OCI names it, to the path of a program. Those that are not static are left out:
    in a rootfs their libraries are missing. Nothing is registered in the user namespace of the host, where it would
    affect all processes, or if the kernel is too old. Only the first successful call has an effect.
    """
    with _LOCK:
        if _kept:
            return True
        static = {architecture: program for architecture, program in programs.items() if is_static(program)}
        if not static or in_initial_namespace():
            return False
        try:
            tree = filesystem("binfmt_misc")
        except OSError:  # before Linux 6.7 no user namespace may mount it, nor may a container
            return False
        _kept.append(tree)
        for architecture, program in static.items():
            with suppress(OSError):  # this kernel refuses the rule, or the program is missing: the others still work
                _register(tree, architecture, program)
        return True


def is_static(program: str) -> bool:
    """Return whether *program* is an ELF file of this host that needs no dynamic linker (no PT_INTERP, elf(5)).

    The name does not tell it: Debian's static QEMU is called ``qemu-aarch64-static`` up to Debian 12, and
    ``qemu-aarch64`` since then.
    """
    try:
        with open(program, "rb") as file:
            head = file.read(64)
            form, at, sizes = _HEADERS[head[4]]
            (offset,) = struct.unpack_from(form, head, at)
            size, count = struct.unpack_from("HH", head, sizes)
            file.seek(offset)
            table = file.read(size * count)
        kinds = [struct.unpack_from("I", table, size * number)[0] for number in range(count)]
    except (OSError, LookupError, struct.error):  # not there, or no whole ELF file
        return False
    return head.startswith(b"\x7fELF") and _PT_INTERP not in kinds


def _register(tree: int, architecture: str, program: str) -> None:
    register = os.open("register", os.O_WRONLY | os.O_CLOEXEC, dir_fd=tree)
    try:
        os.write(register, rule(architecture, program))
    finally:
        os.close(register)


def rule(architecture: str, program: str) -> bytes:
    """Return the rule by which the kernel runs ELF files of an architecture with *program* (kernel, binfmt-misc.rst).

    The flag F opens the program now, so that it can be used in every rootfs. The flag P passes the name by which the
    emulated program was called.
    """
    head = (smallest_program(architecture) or b"")[:20]
    # The rule ignores the OS ABI (byte 7), and matches both ET_EXEC (2) and ET_DYN (3): e_type is bytes 16 and 17.
    mask = bytearray(b"\xff" * 20)
    mask[7] = 0
    mask[16 if head[5] == 1 else 17] = 0xFE
    escaped = [b"".join(b"\\x%02x" % byte for byte in part) for part in (head, mask)]
    return b":pybuild-%s:M::%s:%s:%s:PF" % (architecture.encode(), *escaped, os.fsencode(program))
