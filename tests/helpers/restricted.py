"""pybuild where something that a host usually permits is refused: as inside of containers."""

import os
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pybuild.runtime.kernel.syscalls import set_seccomp_filter
from pybuild.runtime.sandbox.inside.seccomp_tables import AARCH64, X86_64
from tests.helpers.program import Program

_REPOSITORY = Path(__file__).parents[2]
_LOAD, _IS, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001
WITHOUT_MOUNTS = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--")
"""Root as in a container: without CAP_SYS_ADMIN."""
COVERED_PROC = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/tty && exec "$@"', "sh")
"""As in a container, whose /proc has covered parts: the kernel lets nobody else mount one that shows them."""


def refusing(*calls: str) -> tuple[str, ...]:
    """The words before a command that is to get EPERM for these system calls."""
    return (
        "env",
        f"PYTHONPATH={_REPOSITORY / '.src'}:{_REPOSITORY}",
        sys.executable,
        os.fspath(Path(__file__)),
        ",".join(calls),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Restricted(Program):
    """The program behind the words *ahead* on its command line."""

    ahead: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        """The words that start it."""
        return [*self.ahead, *Program.command(self, *arguments)]

    def with_isolation(self, choice: str) -> "Restricted":
        """The same with $PYBUILD_ISOLATION."""
        return replace(self, variables=(*self.variables, ("PYBUILD_ISOLATION", choice)))


def restricted(program: Program, *ahead: str) -> Restricted:
    """*program* behind these words."""
    return Restricted(store=program.store, variables=program.variables, ahead=ahead)


def _filter(numbers: list[int]) -> bytes:
    steps = [struct.pack("=HBBI", _LOAD, 0, 0, 0)]
    steps += [struct.pack("=HBBI", _IS, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    return b"".join([*steps, struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW), struct.pack("=HBBI", _RETURN, 0, 0, _REFUSE)])


def refuse(names: Iterable[str]) -> None:
    """Let this process, and all that it starts, get EPERM for these system calls."""
    table = AARCH64 if os.uname().machine == "aarch64" else X86_64
    set_seccomp_filter(_filter([table[name] for name in names]))


if __name__ == "__main__":
    names, *words = sys.argv[1:]
    refuse(names.split(","))
    os.execvp(words[0], words)
