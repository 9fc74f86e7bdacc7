"""An emulator for arm64 that the kernel has as long as the block runs: Debian's qemu-user-static, registered by us.

binfmt_misc is mounted in a mount namespace of a process of our own. What is registered there counts for the whole
machine, but the file system itself is not to be seen at ``/proc/sys/fs/binfmt_misc``: as in most containers. When the
process ends it takes back what it registered; when it is killed, the kernel does with the last mount.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QEMU = Path("/usr/libexec/qemu-binfmt/aarch64-binfmt-P")  # by this name it expects the flag P
_HEAD = rb"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


@contextmanager
def registered(flags: str = "OPF", interpreter: Path = QEMU) -> Iterator[None]:
    """Have programs for arm64 handed to *interpreter* while the block runs.

    Raises:
        RuntimeError: this kernel does not let root register it; what the kernel said is in the message.
    """
    name = f"pybuild-tests-{os.getpid()}-{flags}"
    rule = b":%s:M::%s:%s:%s:%s" % (name.encode(), _HEAD, _MASK, os.fsencode(interpreter), flags.encode())
    keeper = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-I", __file__, name, os.fsdecode(rule)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        if keeper.stdout.readline() != b"registered\n":
            raise RuntimeError(f"binfmt_misc does not take {rule!r}: {keeper.stderr.read().decode()[-500:]}")
        yield
    finally:
        keeper.communicate()


def _keep(name: str, rule: str) -> None:
    """Register *rule*, report it, and remove it at the end of standard input."""
    directory = Path("/proc/sys/fs/binfmt_misc")
    subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", directory], check=True)
    for left in directory.glob("pybuild-tests-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            left.write_text("-1")
    directory.joinpath("register").write_text(rule)
    os.write(1, b"registered\n")
    sys.stdin.read()
    directory.joinpath(name).write_text("-1")


if __name__ == "__main__":
    _keep(*sys.argv[1:])
