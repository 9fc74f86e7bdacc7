"""Runs in a step, as its root, and prints what succeeded of what must not; see test_debian_on_rungs.py.

The words are a directory of the host, which is not to be reached, and the number of a process of it.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

OUTSIDE, PROCESS = sys.argv[1], int(sys.argv[2])
UP = "/.." * 12
RECORD = "user.pybuild.owner"
SETXATTRAT, GETXATTRAT = 463, 464
libc = ctypes.CDLL(None, use_errno=True)


def ways() -> Iterator[str]:
    """Paths that may lead to the host: by links of processes, the first one of them too, and by descriptors."""
    yield ""
    with contextlib.suppress(OSError):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            yield from (f"/proc/{pid}/cwd", f"/proc/{pid}/root", f"/proc/{pid}/exe")
            yield from (f"/proc/{pid}/fd/{number}" for number in range(20))
            yield from (f"/proc/{pid}/task/{pid}/root", f"/proc/{pid}/task/{pid}/cwd")
    yield from (f"/dev/fd/{number}" for number in range(20))


def show(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def tries(name: str, attack: Callable[..., object], *arguments: object) -> None:
    """Show *name* unless the attack fails as a system call does."""
    try:
        result = attack(*arguments)
    except OSError:
        return
    show(f"OPEN {name} {arguments}: {result}")


def reach(who: str) -> None:
    """Whatever a supervisor or keeper does for its caller, it does inside."""
    for target in (f"{way}{climb}{OUTSIDE}" for way in ways() for climb in ("", UP)):
        tries(f"{who} stat", os.stat, f"{target}/canary")
        tries(f"{who} chown", os.chown, f"{target}/canary", os.geteuid(), -1)
        tries(f"{who} create", os.open, f"{target}/made", os.O_CREAT | os.O_WRONLY)
        tries(f"{who} mkdir", os.mkdir, f"{target}/directory")
        tries(f"{who} symlink", os.symlink, "x", f"{target}/symlink")
        tries(f"{who} link", os.link, f"{target}/canary", "/linked")
        tries(f"{who} fifo", os.mkfifo, f"{target}/fifo")
        tries(f"{who} attribute", os.setxattr, f"{target}/canary", RECORD, b"0 0")


def descriptors() -> None:
    """A descriptor that was handed out is that of a file: no directory is above it, and nothing but it is open."""
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    mine = os.open("/tmp/mine", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    for name in ("..", "../etc", "."):
        tries("open from a descriptor", lambda name: os.open(name, os.O_RDONLY, dir_fd=mine), name)
    after = set(os.listdir("/proc/self/fd")) if before else set()
    if before and len(after) != len(before) + 1:
        show(f"OPEN more descriptors: {after - before}")
    if os.stat(mine).st_uid != os.geteuid():
        show(f"OPEN owner of what was created: {os.stat(mine).st_uid}")


def secret() -> None:
    """The file of a secret cannot be changed, whatever it is on this rung."""
    path = "/run/secrets/s"
    content = Path(path).read_bytes()
    tries("open .. of a secret", lambda: os.open("..", os.O_RDONLY, dir_fd=os.open(path, os.O_RDONLY)))
    for change in (
        lambda fd: os.write(fd, b"changed"),
        lambda fd: os.ftruncate(fd, 0),
        lambda fd: os.pwrite(fd, b"x", 0),
    ):
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY):
            with contextlib.suppress(OSError):
                change(os.open(path, flags))
    if Path(path).read_bytes() != content:
        show("OPEN the secret was changed")


def forge() -> None:
    """Who is not root gives no file to root, by the record of its owner neither."""
    Path("/tmp/forged").touch()
    before = os.stat("/tmp/forged").st_uid, os.geteuid()
    value = ctypes.create_string_buffer(b"0 0")
    arguments = ctypes.create_string_buffer(
        ctypes.addressof(value).to_bytes(8, "little") + (3).to_bytes(8, "little"), 16
    )
    with contextlib.suppress(OSError):
        os.setxattr("/tmp/forged", RECORD, b"0 0")
    libc.syscall(SETXATTRAT, -100, b"/tmp/forged", 0, RECORD.encode(), arguments, 16)
    tries("give a file away", lambda: os.chown("/tmp/forged", 0, 0))
    if (os.stat("/tmp/forged").st_uid, os.geteuid()) != before:
        show("OPEN the owner was forged")


def outwards() -> None:
    """No process outside can be acted on."""
    tries("kill", os.kill, PROCESS, signal.SIGKILL)
    tries("kill a group", os.killpg, PROCESS, signal.SIGKILL)
    tries("open a process", os.pidfd_open, PROCESS)
    tries("slow down", os.setpriority, os.PRIO_PROCESS, PROCESS, 5)
    tries("processors", os.sched_setaffinity, PROCESS, {0})
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 12):  # Landlock has a scope for them
        tries("abstract socket", lambda: socket.socket(socket.AF_UNIX).connect(f"\0{OUTSIDE}"))
    for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
        if libc.ptrace(request, PROCESS, 0, 0) == 0:
            show("OPEN trace")


def as_user(user: int, *attacks: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            if user:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            for attack in attacks:
                attack()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


as_user(0, lambda: reach("root"), descriptors, secret, outwards)
os.system("rm -rf /tmp/mine")
as_user(1234, lambda: reach("user"), descriptors, forge, outwards)
show("ALL TRIED")
