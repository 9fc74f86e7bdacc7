"""The holder of one network: ``python -I -S holder.py UID FILE NAME [ARGUMENT...]``; standard input is a Unix socket.

When the network is ready it sends ``ready`` and the namespace over the socket, else ``failed`` and the reason, and
ends. It ends also when the other end of the socket is closed. ``{pid}`` in an argument is the process in the
namespace. With a UID other than -1 all but this process runs as that user.
"""

import gc
import os
import select
import sys

TYPE_CHECKING = False  # typing costs milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable

gc.disable()
# Behind the standard library, so that nothing installed beside this package can shadow it.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel import syscalls  # noqa: E402 - after the line that it needs
from pybuild.runtime.kernel.passing import send  # noqa: E402

_TICK = 2  # milliseconds
_PATIENCE = 10_000
_LAST = 400


def hold(uid: int, words: list[str]) -> None:
    """Make the network, and stay as long as the builder wants it. Never returns normally."""
    lifeline, alive = os.pipe2(os.O_CLOEXEC)
    errors = os.memfd_create("errors", os.MFD_CLOEXEC)
    if uid >= 0:
        _own_tun()
    elif os.geteuid() != 0:
        # A user outside of a user namespace, who may not make a PID namespace either.
        _unshare_user(0)
    ready, told = os.pipe2(os.O_CLOEXEC)
    namespace = _fork(lambda: _stay(uid, told, lifeline), alive)
    os.close(told)
    if os.read(ready, 1) != b"n":
        _fail(b"no network namespace is permitted here")
    syscalls.unshare(syscalls.CLONE_NEWPID)
    words = [word.replace("{pid}", str(namespace)) for word in words]
    init = _fork(lambda: _init(uid, words, errors, lifeline), alive)
    _await_route(namespace, init, errors)
    with open(f"/proc/{namespace}/ns/net", "rb") as opened:
        send(0, b"ready", opened.fileno())
    _watch((namespace, init))


def _fork(become: "Callable[[], None]", *closed: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        for fd in closed:
            os.close(fd)
        become()
    except BaseException as error:  # noqa: BLE001 - a traceback would tell nobody anything
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def _tied(uid: int, lifeline: int) -> None:
    """Become the user *uid*, and end with the holder, whose end of *lifeline* is closed if it is gone already."""
    if uid >= 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # the files in /proc are this user's again
    # After the change of user, which takes it back.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, syscalls.SIGKILL)
    poller = select.poll()
    poller.register(lifeline, 0)
    if poller.poll(0):
        os._exit(1)


def _stay(uid: int, told: int, lifeline: int) -> None:
    _tied(uid, lifeline)
    _unshare_user(syscalls.CLONE_NEWNET)
    # An address is usable at once: nobody else is on this link who could have it.
    _write("/proc/sys/net/ipv6/conf/default/accept_dad", "0", optional=True)
    os.write(told, b"n")
    os.close(0)
    select.poll().poll()


def _unshare_user(more: int) -> None:
    """Enter a user namespace in which this user is root, and the namespaces *more*."""
    user, group = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | more)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        _write(f"/proc/self/{name}", text)


def _write(path: str, text: str, *, optional: bool = False) -> None:
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(text.encode())
    except OSError:
        if not optional:
            raise


def _init(uid: int, words: list[str], errors: int, lifeline: int) -> None:
    _tied(uid, lifeline)
    program = os.fork()
    if program == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream, target in ((null, 0), (null, 1), (errors, 2)):
            os.dup2(stream, target)
        syscalls.reset_signals()  # Python ignores SIGPIPE, which pasta takes for a failure
        os.execv(words[0], words[1:])  # noqa: S606 - found in the PATH of the user
    os.close(0)
    while True:
        ended, status = os.wait()
        if ended == program:
            os._exit(os.waitstatus_to_exitcode(status) & 0x7F or 1)


def _own_tun() -> None:
    """Give pasta a node that its user may open, where nobody else sees it."""
    if not os.path.isdir("/dev/net"):
        return
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
    try:
        node = os.stat("/dev/net/tun").st_rdev
    except FileNotFoundError:
        return
    syscalls.mount("tmpfs", "/dev/net", "tmpfs", 0, "mode=755")
    try:
        os.mknod("/dev/net/tun", 0o20666, node)
        os.chmod("/dev/net/tun", 0o666)  # noqa: S103 - as udev makes it
    except PermissionError:  # a container without CAP_MKNOD has the node that it was given
        syscalls.umount2("/dev/net")


def _await_route(namespace: int, init: int, errors: int) -> None:
    """Return when the program has made a default route in the namespace; end with the reason when it has not."""
    waits = select.poll()
    for fd in (0, os.pidfd_open(init)):
        waits.register(fd, select.POLLIN)
    for _ in range(_PATIENCE // _TICK):
        if waits.poll(_TICK):
            os.lseek(errors, 0, 0)
            _fail(_last_line(os.read(errors, 1 << 16)))
        if _has_route(f"/proc/{namespace}/net"):
            return
    _fail(b"it made no network in time")


def _has_route(place: str) -> bool:
    with open(f"{place}/route", encoding="ascii") as file:
        if any(line.split("\t")[1:2] == ["00000000"] for line in file):
            return True
    try:
        with open(f"{place}/ipv6_route", encoding="ascii") as file:
            return any(line.startswith("0" * 32 + " 00 ") and not line.endswith(" lo\n") for line in file)
    except FileNotFoundError:
        return False


def _last_line(text: bytes) -> bytes:
    lines = [line for line in text.splitlines() if line.strip() and b"syslog" not in line]
    return lines[-1][:_LAST] if lines else b"it ended without a word"


def _fail(reason: bytes) -> None:
    try:
        send(0, b"failed " + reason)
    finally:
        os._exit(1)


def _watch(children: tuple[int, ...]) -> None:
    """Return when the builder has closed its end, or one of *children* is gone."""
    poller = select.poll()
    poller.register(0, select.POLLIN)
    for child in children:
        poller.register(os.pidfd_open(child), select.POLLIN)
    poller.poll()


try:
    os.setsid()
    hold(int(sys.argv[1]), sys.argv[2:])
except BaseException as problem:  # noqa: BLE001 - the builder tells it
    _fail(str(getattr(problem, "strerror", None) or problem).lower().encode())
finally:
    os._exit(0)
