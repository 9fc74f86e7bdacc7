"""Root as a default container has it: Docker's capabilities, no mounts and namespaces, control of devices.

As a program, ``default_container.py WORD...``, it runs a command like that. What a daemon adds, a root file system and
namespaces of the container, makes no difference to what is permitted inside.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.kernel.syscalls import PR_CAPBSET_DROP, capset, prctl
from tests.helpers.program import Program
from tests.helpers.restricted import Restricted, refuse, restricted

_REPOSITORY = Path(__file__).parents[2]
_PREFIX = "pybuild-test-"
_NEW = 60  # seconds
_DEVICES = Path("/sys/fs/cgroup/devices")
_ALLOWED = (
    *("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"),
    *("c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"),
)
_REFUSED = (
    "mount umount2 pivot_root unshare setns fsopen fsmount open_tree move_mount mount_setattr bpf keyctl add_key"
    " process_vm_readv process_vm_writev sethostname"
).split()
WORDS = ("env", f"PYTHONPATH={_REPOSITORY / '.src'}:{_REPOSITORY}", sys.executable, os.fspath(Path(__file__)))


def in_default_container(program: Program) -> Restricted:
    """*program* in a place of this kind. Skips where this host does not control devices by a hierarchy of its own."""
    if not (_DEVICES / "devices.deny").exists() and not (_DEVICES / "cgroup.procs").exists():
        pytest.skip("no control group for devices")
    return restricted(program, *WORDS)


@contextmanager
def _controlled() -> Iterator[Path]:
    own = next(line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if ":devices:" in line)
    parent = _DEVICES / own.strip().lstrip("/")
    _sweep(parent)
    group = parent / f"{_PREFIX}{os.urandom(8).hex()}"
    group.mkdir()
    try:
        (group / "devices.deny").write_text("a")
        for each in _ALLOWED:
            (group / "devices.allow").write_text(each)
        yield group
    finally:
        with suppress(OSError):  # something inside has not ended yet: the next one of these removes it
            group.rmdir()


def _sweep(parent: Path) -> None:
    """Remove the groups that killed processes left: those with a process in them stay, and new ones, which get theirs.

    Their age tells, because the mutation pass has a PID namespace for each test, where numbers of others mean nothing.
    """
    for left in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _NEW:
                left.rmdir()


def _become(group: Path, words: list[str]) -> None:
    (group / "cgroup.procs").write_text("0")
    for capability in range(64):
        with suppress(OSError):
            if not DEFAULT >> capability & 1:
                prctl(PR_CAPBSET_DROP, capability)
    os.setsid()
    refuse(_REFUSED)
    capset(DEFAULT, DEFAULT, 0)
    os.execvp(words[0], words)


if __name__ == "__main__":
    with _controlled() as made:
        child = os.fork()
        if child == 0:
            _become(made, sys.argv[1:])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(code if code >= 0 else 128 - code)
