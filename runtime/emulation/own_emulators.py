"""Emulators that a builder registers in its own user namespace, so that the host does not change.

Since Linux 6.7 each user namespace may have its own binfmt_misc. It replaces that of the host for all processes in the
namespace, so it is made only where the host has no emulator for any other machine.
"""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress

from pybuild.runtime.emulation.smallest import smallest_program
from pybuild.runtime.kernel.user_namespace import in_initial_namespace
from pybuild.runtime.sandbox.inside.scratch import filesystem

_LOCK = threading.Lock()
_kept: list[int] = []
"""The descriptor of the file system, which exists as long as it is open."""


def register_own(programs: Mapping[str, str]) -> bool:
    """Register emulators for this process and its children; return whether they are registered.

    *programs* maps an architecture, as OCI names it, to the path of a static program. Nothing is registered in the
    user namespace of the host, where it would affect all processes, or if the kernel is too old. Only the first
    successful call has an effect.
    """
    with _LOCK:
        if _kept:
            return True
        if not programs or in_initial_namespace():
            return False
        try:
            tree = filesystem("binfmt_misc")
        except OSError:  # before Linux 6.7 no user namespace may mount it, nor may a container
            return False
        _kept.append(tree)
        for architecture, program in programs.items():
            with suppress(OSError):  # this kernel refuses the rule, or the program is missing: the others still work
                _register(tree, architecture, program)
        return True


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
