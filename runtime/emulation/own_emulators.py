"""Emulators that a builder registers for itself: in a user namespace of its own, without a trace on the host.

Since Linux 6.7 each user namespace may have a binfmt_misc of its own, which counts for whatever runs in it. It counts
instead of that of the host, so it is only made where the host has nothing for any other machine.
"""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress

from pybuild.runtime.emulation.smallest import smallest_program
from pybuild.runtime.kernel.user_namespace import in_initial_namespace
from pybuild.runtime.sandbox.inside.scratch import filesystem

_FIRST = threading.Lock()
_kept: list[int] = []
"""The file system, which lives as long as it is open."""


def register_own(programs: Mapping[str, str]) -> bool:
    """Register emulators (architecture as OCI names it -> path of a static program) for this process and its children.

    Returns whether that was done; it is not in the user namespace of the host, which is everybody's, nor where the
    kernel does not let it be. Done once, whatever is asked for later.
    """
    with _FIRST:
        if _kept:
            return True
        if not programs or in_initial_namespace():
            return False
        try:
            tree = filesystem("binfmt_misc")
        except OSError:
            return False
        _kept.append(tree)
        for architecture, program in programs.items():
            # One that this kernel does not take leaves the others as they are.
            with suppress(OSError):
                _register(tree, architecture, program)
        return True


def _register(tree: int, architecture: str, program: str) -> None:
    register = os.open("register", os.O_WRONLY | os.O_CLOEXEC, dir_fd=tree)
    try:
        os.write(register, rule(architecture, program))
    finally:
        os.close(register)


def rule(architecture: str, program: str) -> bytes:
    """Return the line that has the kernel hand ELF files of an architecture to *program* (kernel, binfmt-misc.rst).

    By the flag F it is opened now and is there in every root; by P it is given the name that a program was called
    by.
    """
    head = (smallest_program(architecture) or b"")[:20]
    # Any system that a file is for, and programs at fixed or at any addresses.
    mask = bytearray(b"\xff" * 20)
    mask[7] = 0
    mask[16 if head[5] == 1 else 17] = 0xFE
    escaped = [b"".join(b"\\x%02x" % byte for byte in part) for part in (head, mask)]
    return b":pybuild-%s:M::%s:%s:%s:PF" % (architecture.encode(), *escaped, os.fsencode(program))
