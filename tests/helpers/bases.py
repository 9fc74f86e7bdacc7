"""The root file systems that tests build on, made once and kept between runs.

``small``      static busybox with a link for each applet, a few users; made by code, byte for byte the same each time
``small_arm64``  the same with the busybox of Debian's package for arm64
``bookworm``   a minimal Debian made by mmdebstrap
``nginx``      the same with Debian's nginx
``services``   the same with PostgreSQL, Redis and Python
`docker_root`  a directory with the newest Docker of Debian, to be entered with chroot

They stand in ``$XDG_CACHE_HOME/pybuild-tests``, each under a name that changes with its recipe. One that no test has used
for a day is removed when its recipe has changed; until then tests of another checkout may be using it.
``python -m tests.helpers.bases`` makes those that are mostly downloads, but for the services, which CI does not need.
"""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EPOCH = 981173106  # 2001-02-03 04:05:06 UTC: visibly not a time of a test run
BUSYBOX = Path("/bin/busybox")

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
alice:x:1000:1000:Alice:/home/alice:/bin/sh
bob:x:1001:50:Bob:/home/bob:/bin/sh
"""
GROUP = """root:x:0:
daemon:x:1:
staff:x:50:alice
audio:x:63:alice,bob
alice:x:1000:
"""

_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "root": 0o700,
    "home": 0o755,
    "home/alice": 0o755,
    "proc": 0o555,
    "run": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "var": 0o755,
    "var/lib": 0o755,
}
_FILES = {"etc/passwd": PASSWD, "etc/group": GROUP, "etc/motd": "welcome\n"}
_RECIPE = "4"
_USED = 24 * 60 * 60
"""Seconds after its last use in which a base of another recipe stays."""

DOCKER_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "ca-certificates", "xz-utils", "git")


def cache_directory() -> Path:
    """Where bases are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or os.fspath(Path.home() / ".cache")
    directory = Path(home) / "pybuild-tests"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def small() -> Path:
    """The tar of the busybox base."""
    recipe = f"{_RECIPE}{PASSWD}{GROUP}{_DIRECTORIES}{_FILES}{hashlib.sha256(BUSYBOX.read_bytes()).hexdigest()}"
    return kept("small", recipe, ".tar", _write_small)


def small_arm64() -> Path:
    """The tar of the busybox base for arm64."""
    return kept("small_arm64", f"{_RECIPE}{PASSWD}{GROUP}{_DIRECTORIES}{_FILES}bookworm", ".tar", _write_small_arm64)


def bookworm() -> Path:
    """The tar of a minimal Debian 12."""
    return kept("bookworm", "minbase", ".tar", lambda path: debian(path, "bookworm", ()))


def nginx() -> Path:
    """The tar of a minimal Debian 12 with its nginx."""
    return kept("nginx", "nginx-light", ".tar", lambda path: debian(path, "bookworm", ("nginx-light",)))


def services() -> Path:
    """The tar of a minimal Debian 12 with PostgreSQL, Redis, and Python's clients of both."""
    packages = ("postgresql", "redis-server", "python3-minimal", "python3-redis", "python3-psycopg2")
    return kept("services", " ".join(packages), ".tar", lambda path: debian(path, "bookworm", packages))


def docker_root() -> Path:
    """A directory with Docker 28 of Debian forky: the reference that builds are compared with."""
    recipe = " ".join(("forky", *DOCKER_PACKAGES))
    return kept("docker", recipe, "", lambda path: debian(path, "forky", DOCKER_PACKAGES))


def _write_small_arm64(path: Path) -> None:
    packages = path.with_name("packages")
    debian(packages, "bookworm", ("busybox-static",), ("--variant=extract", "--architectures=arm64"))
    _write_small(path, packages / "bin/busybox")


def _write_small(path: Path, program: Path = BUSYBOX) -> None:
    # Both have the applets of the same version.
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in _DIRECTORIES.items():
            tar.addfile(_entry(name, tarfile.DIRTYPE, mode))
        busybox = program.read_bytes()
        tar.addfile(_entry("bin/busybox", tarfile.REGTYPE, 0o755, size=len(busybox)), io.BytesIO(busybox))
        for name in sorted(set(applets) - {"busybox"}):
            tar.addfile(_entry(f"bin/{name}", tarfile.SYMTYPE, 0o777, linkname="busybox"))
        for name, text in _FILES.items():
            tar.addfile(_entry(name, tarfile.REGTYPE, 0o644, size=len(text)), io.BytesIO(text.encode()))


def _entry(name: str, kind: bytes, mode: int, *, size: int = 0, linkname: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname, entry.mtime = kind, mode, size, linkname, EPOCH
    if name == "home/alice":
        entry.uid = entry.gid = 1000
    return entry


def debian(
    path: Path, suite: str, packages: tuple[str, ...], options: tuple[str, ...] = ("--variant=minbase",)
) -> None:
    """Make a Debian with *packages*: a tar where *path* has a suffix, else a directory."""
    include = [f"--include={','.join(packages)}"] if packages else []
    kind = "tar" if path.suffix else "directory"
    # Release files of a suite that is still in the making expire within a week; a mirror may lag behind that.
    options = (*options, '--aptopt=Acquire::Check-Valid-Until "false"')
    command = ["mmdebstrap", *options, f"--format={kind}", *include, suite, os.fspath(path)]
    result = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"mmdebstrap {suite}: {result.stderr[-2000:]}")


def kept(name: str, recipe: str, suffix: str, make: Callable[[Path], None]) -> Path:
    """Return the file or directory that *make* writes, from the cache when the recipe is the same; one maker at a time."""
    directory = cache_directory()
    path = directory / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}{suffix}"
    if path.exists():  # it appeared whole; mutants run where nothing can be written, not even a lock
        with suppress(OSError):
            os.utime(path)
        return path
    with _locked(directory / f"{name}.lock"):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=directory, prefix=f"{name}-") as scratch:
                fresh = Path(scratch) / path.name
                make(fresh)
                fresh.rename(path)
            _forget_older(directory, name, path)
    return path


def _forget_older(directory: Path, name: str, path: Path) -> None:
    for old in directory.glob(f"{name}-*"):
        if old == path or old.stat().st_mtime > time.time() - _USED:
            continue
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for made in (docker_root, nginx, small_arm64):
        made()
