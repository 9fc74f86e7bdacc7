"""The holder of the network of a user: ``python -I -S holder.py``, with a Unix socket and the file of users as streams.

It makes the namespaces, sends what `client.Holder` has as JSON over the socket, and ends when no other process has a
lock on the file of users. The kernel ends everything inside with it.
"""

import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys

gc.disable()
# Last, so that nothing that is installed beside this package is imported in place of the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel import syscalls  # noqa: E402 - needs the line above
from pybuild.runtime.kernel.pidfd import boot_id, start_time  # noqa: E402
from pybuild.runtime.private_networks.private import begin  # noqa: E402

_USERS = 1
_RESOLV = "/etc/resolv.conf"


def hold(channel: socket.socket) -> None:
    """Make the network, report it, and keep it until nobody uses it."""
    # Opened again: a lock belongs to an open file, and that of the starter has one of the starter.
    users = os.open(f"/proc/self/fd/{_USERS}", os.O_RDWR | os.O_CLOEXEC)
    with begin() as network:
        network.wait()
        init = _start_inside(network.namespace, network.resolv_conf)
        found = {
            "pid": init,
            "started": start_time(init),
            "boot": boot_id(),
            "resolv_conf": network.resolv_conf.decode(errors="replace"),
        }
        channel.send(json.dumps(found).encode())
        channel.close()
        for stream in (0, _USERS):
            os.close(stream)
        # Python calls it while flock(2) waits: the signal interrupts the call, which is continued after it (PEP 475).
        signal.signal(signal.SIGCHLD, lambda *_: _end_with(init))
        _end_with(init)  # if it has ended before there was a handler
        fcntl.flock(users, fcntl.LOCK_EX)


def _end_with(init: int) -> None:
    """End if the first process inside has ended: what is inside cannot be used without it."""
    if os.waitpid(init, os.WNOHANG)[0]:
        os._exit(0)


def _start_inside(namespace: int, resolv_conf: bytes) -> int:
    """Fork the first process of a new PID namespace, which is in the network; return its number when all is mounted."""
    lifeline, alive = os.pipe2(os.O_CLOEXEC)
    ready, made = os.pipe2(os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        try:
            os.close(alive)
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, syscalls.SIGKILL)
            if not _has_parent(lifeline):
                os._exit(1)
            _settle_in(namespace, resolv_conf)
            os.write(made, b"r")
            _stay()
        except Exception as error:  # noqa: BLE001 - whatever it is, the holder reports it
            os.write(made, f"{getattr(error, 'strerror', None) or error}".encode())
        finally:
            os._exit(1)
    os.close(made)
    report = os.read(ready, 400)
    if report != b"r":
        raise OSError(0, report.decode(errors="replace") or "the first process inside was killed")
    return child


def _has_parent(lifeline: int) -> bool:
    """Return whether the holder still has its end of the pipe *lifeline*."""
    poller = select.poll()
    poller.register(lifeline, 0)
    return not poller.poll(0)


def _settle_in(namespace: int, resolv_conf: bytes) -> None:
    """Enter the network, with a /run that nobody else has, and the name server of this network in /etc."""
    os.setsid()
    syscalls.setns(namespace, syscalls.CLONE_NEWNET)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    # Before the first mount, which would appear outside otherwise (mount_namespaces(7), "Shared subtrees").
    syscalls.mount("none", "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV)
    # Sessions have the directories of users there, and so perhaps the store.
    sessions = os.open("/run/user", os.O_PATH | os.O_CLOEXEC) if os.path.isdir("/run/user") else -1
    syscalls.mount("tmpfs", "/run", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    if sessions >= 0:
        os.mkdir("/run/user")
        syscalls.mount(f"/proc/self/fd/{sessions}", "/run/user", None, syscalls.MS_BIND | syscalls.MS_REC)
        os.close(sessions)
    # It is often a symlink into /run, where nothing is now.
    place = os.path.realpath(_RESOLV)
    file = "/run/resolv.conf" if os.path.exists(place) else place
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "wb") as opened:
        opened.write(resolv_conf)
    if file != place:
        syscalls.mount(file, place, None, syscalls.MS_BIND)


def _stay() -> None:
    """Wait to be killed. What others have left inside, such as a name server, becomes a child of this process."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    syscalls.close_range(3)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    select.poll().poll()


if __name__ == "__main__":
    # The starter's locks of containers are among them.
    syscalls.close_range(3)
    os.setsid()
    given = socket.socket(fileno=os.dup(0))
    try:
        hold(given)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the starter raises it
        given.send(json.dumps({"failed": str(problem)}).encode())
    finally:
        os._exit(0)
