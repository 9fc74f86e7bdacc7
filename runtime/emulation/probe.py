"""Finds out whether programs for another architecture run in a sandbox here, by running one.

The kernel runs such a program by an emulator that is registered with binfmt_misc. That file system shows what is
registered, but it is not mounted in most containers, although the registrations are in effect there.
"""

import os
import subprocess
import tempfile
from enum import Enum
from errno import ENOENT, ENOEXEC
from functools import lru_cache
from pathlib import Path

from pybuild.runtime.emulation.smallest import smallest_program
from pybuild.runtime.sandbox.interpreter import child_environment, program


class Emulation(Enum):
    """What happens when a program for another architecture is executed."""

    RUNS = "it runs"
    UNKNOWN = "no emulator is registered with binfmt_misc"
    UNREACHABLE = (
        "its emulator is not there in the sandbox: it is registered without the flag F, or is no static program"
    )
    BROKEN = "its emulator is registered, but a small program that it is given does not end well"


@lru_cache
def emulation(architecture: str, directory: Path) -> Emulation:
    """Return what happens to programs for *architecture*, as OCI names it. A small file is written to *directory*.

    It is tried once in each process, which takes the start of an interpreter.
    """
    code = smallest_program(architecture)
    if code is None:
        return Emulation.UNKNOWN
    with tempfile.TemporaryDirectory(dir=directory, prefix="trial-") as root:
        path = Path(root, "program")
        path.write_bytes(code)
        path.chmod(0o700)
        # In a process of its own, which does nothing but chroot(2) and execve(2).
        command = [program(), "-I", "-S", os.fspath(Path(__file__).with_name("trial.py")), root]
        done = subprocess.run(command, env=child_environment(), cwd="/", capture_output=True, check=False)
    # The errno is about the emulator: the program itself is there, and it is static, so it needs no other file.
    match done.stdout:
        case b"" if done.returncode == 0:
            return Emulation.RUNS
        case _ if done.stdout == b"%d" % ENOEXEC:
            return Emulation.UNKNOWN
        case _ if done.stdout == b"%d" % ENOENT:
            return Emulation.UNREACHABLE
        case _:
            return Emulation.BROKEN
