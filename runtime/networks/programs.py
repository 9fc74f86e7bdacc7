"""The programs that set up networks: where they are, and how they are run."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import mask
from pybuild.runtime.kernel.syscalls import capget
from pybuild.runtime.values import frozen

NETAVARK, DNS, RULES, RULES6 = "netavark", "aardvark-dns", "iptables", "ip6tables"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLACES = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/lib/podman", "/usr/local/libexec/podman")
_PACKAGES = {NETAVARK: "netavark", DNS: "aardvark-dns", RULES: "iptables"}
_FIREWALL = {"NETAVARK_FW": "iptables"}
"""The firewall driver of netavark whose rules `rules.tidy` recognises. Newer versions use nftables by default."""
_STREAMS = 2  # the number of the last standard stream
_SIGNALS = tuple(number for number in signal.valid_signals() if number not in {signal.SIGKILL, signal.SIGSTOP})


@frozen
class Ended:
    """The exit code and the output of a program."""

    code: int
    out: bytes
    error: bytes


def find(name: str) -> str | None:
    """Return the path of a program, None when it is not installed. $PATH is not used: sbin is often not in it."""
    paths = (f"{place}/{name}" for place in (*_PATH.split(":"), *_PLACES))
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)


def missing() -> tuple[str, ...]:
    """Return the programs that networks need and this host lacks."""
    return tuple(name for name in _PACKAGES if find(name) is None)


def obstacle() -> tuple[str, str]:
    """Return what networks need and is missing here, and how to get it; two empty texts when nothing is missing."""
    lacking = missing()
    if lacking:
        return " and ".join(lacking), f"apt-get install {' '.join(_PACKAGES[name] for name in lacking)}"
    if os.geteuid() == 0 and not capget()[0] & mask("NET_ADMIN"):
        return "CAP_NET_ADMIN", "in a container: --cap-add NET_ADMIN"
    return "", ""


def need() -> None:
    """Raise SandboxUnavailable when networks cannot be set up."""
    lacking, remedy = obstacle()
    if lacking:
        hint = f"{remedy}, or use --network private, host or none"
        raise SandboxUnavailable(f"networks need {lacking}", hint)


def run(words: tuple[str, ...], given: bytes = b"") -> Ended:
    """Run a program to its end with *given* as its standard input. Ctrl-C does not interrupt it.

    The program may leave another one running, such as a name server. That one must not keep a pipe open that somebody
    reads to its end, so streams are files in memory and all other descriptors are closed. It must not have blocked or
    ignored signals, nor the terminal, so signals are reset, and it has a session of its own.
    """
    files = [_memory(given), _memory(), _memory()]
    try:
        pid = os.posix_spawn(
            words[0],
            words,
            {"PATH": _PATH, "LC_ALL": "C", **_FIREWALL},
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, fd, stream) for stream, fd in enumerate(files)),
                *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inherited()),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_SIGNALS,
        )
        code = _wait_for(pid)
        return Ended(code=code, out=_content(files[1]), error=_content(files[2]))
    finally:
        for fd in files:
            os.close(fd)


def _inherited() -> list[int]:
    """Return the descriptors that a program would inherit from whoever started pybuild, such as a lock of a script."""
    found = []
    # Python makes its own descriptors close-on-exec (PEP 446), and inherited ones stay as they are.
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # EBADF: it was the descriptor of the directory, or another thread has closed it
            if int(name) > _STREAMS and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def _wait_for(pid: int) -> int:
    """Wait for the process *pid*, and return its exit code. A KeyboardInterrupt is raised after its end."""
    interrupted = None
    while True:
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except KeyboardInterrupt as error:  # a set-up must be complete before it can be taken down
            interrupted = error
        else:
            if interrupted is not None:
                raise interrupted
            return code


def _memory(content: bytes = b"") -> int:
    """Return a file in memory with *content*, to be read from its start."""
    fd = os.memfd_create("stream", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _content(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def executable_of(pid: int) -> Path | None:
    """Return the path of the program that a process runs, None when there is no such process."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe"))
    except OSError:  # it has ended
        return None
