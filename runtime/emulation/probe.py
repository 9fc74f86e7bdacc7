"""Whether programs for another machine run in a sandbox here: found out by running one.

The kernel hands such a program to an emulator that is registered with binfmt_misc. What is registered can be read only
where that file system is mounted, which it is not in most containers, though it counts there, too; so the answer is the
kernel's own.
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
    """What becomes of a program for another machine."""

    RUNS = "it runs"
    UNKNOWN = "no emulator is registered with binfmt_misc"
    UNREACHABLE = (
        "its emulator is not there in the sandbox: it is registered without the flag F, or is no static program"
    )
    BROKEN = "its emulator is registered, but a small program that it is given does not end well"


@lru_cache
def emulation(architecture: str, directory: Path) -> Emulation:
    """Return what becomes of a program for *architecture*, as OCI names it; *directory* is for a file of some bytes.

    Asked once for each in the life of this process; the first time costs the start of an interpreter.
    """
    code = smallest_program(architecture)
    if code is None:
        return Emulation.UNKNOWN
    with tempfile.TemporaryDirectory(dir=directory, prefix="trial-") as root:
        path = Path(root, "program")
        path.write_bytes(code)
        path.chmod(0o700)
        command = [program(), "-I", "-S", os.fspath(Path(__file__).with_name("trial.py")), root]
        done = subprocess.run(command, env=child_environment(), cwd="/", capture_output=True, check=False)
    # An errno is of the exec itself: there is no interpreter in the file or the directory that could be missing.
    match done.stdout:
        case b"" if done.returncode == 0:
            return Emulation.RUNS
        case _ if done.stdout == b"%d" % ENOEXEC:
            return Emulation.UNKNOWN
        case _ if done.stdout == b"%d" % ENOENT:
            return Emulation.UNREACHABLE
        case _:
            return Emulation.BROKEN
