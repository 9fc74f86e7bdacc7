"""Programs that others wrote: a Docker daemon of our own, skopeo, umoci.

The daemon lives in one directory (data, socket, archives) and in a mount namespace of its own; it serves no network.
Its program comes from `bases.docker_root` and sees the session's directory as `INSIDE`.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.helpers import bases

INSIDE = Path("/srv")
SHARED = Path("/mnt")
Ran = subprocess.CompletedProcess[str]
Stream = int | IO[Any] | None
_START = """
set -e
if [ "$1" = bridged ]; then
    ip link set lo up
    # Its ports are compared with those of networks that have IPv4 only.
    echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
fi
shift
mount --bind "$1" "$1"
mount --bind "$2" "$1/srv"
mount --bind "$3" "$1/mnt"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs tmpfs "$1/tmp"
cp -L /etc/resolv.conf "$1/run/resolv.conf"
mount --bind "$1/run/resolv.conf" "$1/etc/resolv.conf"
cd "$1"
shift 3
# A chroot would not be enough: exec enters the mount namespace of a container, and comes back to the host's root.
pivot_root . .
umount -l .
unset TMPDIR
exec setpriv --pdeathsig TERM dockerd --data-root /srv/data --exec-root /srv/exec --pidfile /srv/dockerd.pid \
    -H unix:///srv/docker.sock "$@"
"""
_NO_NETWORK = ("--bridge=none", "--iptables=false")
_PATIENCE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """A daemon that runs. Contexts lie below *directory*, which the client, started by *client*, knows as *inside*."""

    directory: Path
    inside: Path
    client: tuple[str, ...]
    pid: int | None
    """None for a daemon that is not ours."""

    def import_tar(self, tar: Path, name: str) -> None:
        """Make an image of one layer out of *tar*."""
        with tar.open("rb") as stream:
            self.command("import", "-", name, stdin=stream)

    def build(self, context: Path, dockerfile: Path, tag: str, options: Sequence[str] = ()) -> str:
        """Build with BuildKit; return what it printed.

        Raises:
            subprocess.CalledProcessError: the build failed; its stderr says why.
        """
        return self.command(*self.build_words(context, dockerfile, tag, options)).stderr

    def save(self, name: str, archive: Path) -> Path:
        """Write the image as an archive to *archive*, which need not lie below the daemon's directory."""
        with archive.open("wb") as stream:
            self.command("save", name, stdout=stream)
        return archive

    def load(self, archive: Path) -> str:
        """Read an archive; return what was printed about it."""
        with archive.open("rb") as stream:
            return self.command("load", stdin=stream).stdout

    def run(self, image: str, *command: str, options: Sequence[str] = ()) -> str:
        """Run a container to its end and return what it wrote to standard output."""
        return self.command("run", "--rm", "--network=none", *options, image, *command).stdout

    def command(self, *arguments: str, stdin: Stream = subprocess.DEVNULL, stdout: Stream = subprocess.PIPE) -> Ran:
        """Run the docker client."""
        words = [*self.client, *arguments]
        try:
            return subprocess.run(words, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=True)
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr)
            raise

    def build_words(self, context: Path, dockerfile: Path, tag: str, options: Sequence[str] = ()) -> list[str]:
        """The words that build *context* as *tag*."""
        place = ["-f", self._seen(dockerfile), "-t", tag, self._seen(context)]
        seen = [option.replace(os.fspath(self.directory), os.fspath(self.inside)) for option in options]
        return ["build", "--network=host", "--progress=plain", *seen, *place]

    def _seen(self, path: Path) -> str:
        return os.fspath(self.inside / path.relative_to(self.directory))


def installed_docker(directory: Path) -> Docker | None:
    """The daemon that this host runs already, if it does."""
    if shutil.which("docker") is None:
        return None
    if subprocess.run(["docker", "info"], check=False, capture_output=True, stdin=subprocess.DEVNULL).returncode:
        return None
    return Docker(directory=directory, inside=directory, client=("env", "DOCKER_BUILDKIT=1", "docker"), pid=None)


@contextmanager
def docker(
    directory: Path,
    options: Sequence[str] = ("--storage-driver", "overlay2"),
    shared: Path | None = None,
    *,
    bridged: bool = False,
) -> Iterator[Docker]:
    """A daemon that runs while the block does. *directory* is made, and emptied of everything at the end.

    Contexts lie in *shared*, by default in *directory*; several daemons may have the same. With *bridged*
    it has networks, in a network namespace of its own.
    """
    root = bases.docker_root()
    directory.mkdir(parents=True)
    with (directory / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(
            [
                "unshare",
                "--mount",
                *(("--net",) if bridged else ()),
                "--propagation",
                "private",
                "sh",
                "-c",
                _START,
                "dockerd",
                "bridged" if bridged else "",
                root,
                directory,
                shared or directory,
                *(() if bridged else _NO_NETWORK),
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        enter = ("nsenter", "--target", str(daemon.pid), "--mount", "--root", "--wd", "--")
        client = (*enter, "env", "DOCKER_BUILDKIT=1", "HOME=/run", "docker", "-H", f"unix://{INSIDE}/docker.sock")
        running = Docker(
            directory=shared or directory, inside=SHARED if shared else INSIDE, client=client, pid=daemon.pid
        )
        _wait_until_ready(running, daemon, directory / "dockerd.log")
        yield running
    finally:
        _stop(daemon)
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_ready(peer: Docker, daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while daemon.poll() is None and time.monotonic() < deadline:
        try:
            peer.command("version")
        except subprocess.CalledProcessError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"dockerd does not answer: {log.read_text()[-2000:]}")


def _stop(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
