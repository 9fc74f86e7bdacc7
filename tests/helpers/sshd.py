"""A real sshd on port 22 of a network of its own, and a host that knows its key: what a command run inside meets."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

_ALONE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_SCRIPT = """
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
mount -t tmpfs none /etc/ssh
cp "$1" /etc/ssh/ssh_known_hosts
busybox ifconfig lo 127.0.0.1 up
/usr/sbin/sshd -f "$2"
until ssh-keyscan 127.0.0.1 2> /dev/null | grep -q .; do sleep 0.05; done
shift 2
exec "$@"
"""
_CONFIG = """
Port 22
ListenAddress 127.0.0.1
HostKey {directory}/host
AuthorizedKeysFile {directory}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
PidFile none
"""
LISTS = "FROM small\nCOPY root/ /\nRUN --mount=type=ssh ssh-add -l && ! ssh-add -D\n"
PROGRAMS = ("unshare", "busybox", "sshd", "ssh", "ssh-keygen", "ssh-agent", "ssh-add", "git")


def make_key(path: Path, passphrase: str = "") -> Path:
    """Make a private key at *path*, and the public one beside it."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", os.fspath(path)]
    subprocess.run(command, check=True)
    return path


def with_ssh_add(directory: Path, dockerfile: str = LISTS) -> Path:
    """A context that has ssh-add of this host with the libraries that it needs, below ``root``."""
    context = write_context(directory, {"Dockerfile": dockerfile})
    program = shutil.which("ssh-add")
    assert program is not None
    needed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout.split()
    for path in (program, *(word for word in needed if word.startswith("/"))):
        place = context / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class SshServer:
    """Keys and settings of a server below *directory*; it runs for one command at a time."""

    directory: Path

    @property
    def key(self) -> Path:
        """The private key that may log in as root."""
        return self.directory / "user"

    @classmethod
    def made(cls, directory: Path, *, known: bool = True) -> "SshServer":
        """Make the keys; *known* says whether the host has the key of the server."""
        directory.mkdir()
        make_key(directory / "user")
        host = make_key(directory / "host").with_name("host.pub").read_text()
        (directory / "known").write_text(f"127.0.0.1 {host}" if known else "")
        (directory / "config").write_text(_CONFIG.format(directory=directory))
        return cls(directory=directory)

    def run(self, program: Program, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run pybuild beside the server."""
        files = [os.fspath(self.directory / name) for name in ("known", "config")]
        return subprocess.run(
            [*_ALONE, "sh", "-euc", _SCRIPT, "sh", *files, *program.command(*arguments)],
            env=program.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
