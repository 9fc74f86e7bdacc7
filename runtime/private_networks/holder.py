"""The holder of one network: ``python -I -S holder.py UID FILE NAME [ARGUMENT...]``; standard input is a Unix socket.

When the network is ready, it sends ``ready`` and a descriptor of the namespace over the socket; otherwise it sends
``failed`` and the reason, and ends. It also ends when the other end of the socket is closed. ``{pid}`` in an argument
stands for the number of the process in the namespace. With a UID other than -1 all its children run as that user.
"""

import gc
import os
import select
import sys

TYPE_CHECKING = False  # the import of `typing` takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable

gc.disable()
# Last, so that nothing that is installed beside this package is imported in place of the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel import syscalls  # noqa: E402 - needs the line above
from pybuild.runtime.kernel.passing import send  # noqa: E402

_TICK = 2  # milliseconds between two looks for a route
_PATIENCE = 10_000  # milliseconds
_LONGEST_REASON = 400  # bytes


def hold(uid: int, words: list[str]) -> None:
    """Make the network, and keep it until the builder closes its end of the socket."""
    lifeline, alive = os.pipe2(os.O_CLOEXEC)
    errors = os.memfd_create("errors", os.MFD_CLOEXEC)
    if uid >= 0:
        _make_tun_node()
    elif os.geteuid() != 0:
        # An ordinary user outside of a user namespace may not make a PID namespace before it has entered one.
        _unshare_user(0)
    ready, made = os.pipe2(os.O_CLOEXEC)
    # By a process of its own: a namespace lasts as long as a process is in it, and this one is to stay outside.
    namespace = _fork(lambda: _hold_namespace(uid, made, lifeline), alive)
    os.close(made)
    if os.read(ready, 1) != b"n":
        _fail(b"no network namespace is permitted here")
    syscalls.unshare(syscalls.CLONE_NEWPID)
    words = [word.replace("{pid}", str(namespace)) for word in words]
    init = _fork(lambda: _run_init(uid, words, errors, lifeline), alive)
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
    except BaseException as error:  # noqa: BLE001 - whatever it is, the child must not continue as the holder
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def _tie_to_holder(uid: int) -> None:
    """Become the user *uid*, and have the kernel kill this process when the holder ends.

    The kernel sends that signal with the rights of the holder (kill(2)). To another user it needs CAP_KILL, which root
    of a container may lack, so the caller waits for the end of the holder as well.
    """
    if uid >= 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        # A process that changes its user is not dumpable, and its files in /proc, such as uid_map, stay root's.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    # After the change of user, which clears it.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, syscalls.SIGKILL)


def _hold_namespace(uid: int, made: int, lifeline: int) -> None:
    """Make the namespaces, write to *made*, and wait for the end of the holder."""
    _tie_to_holder(uid)
    _unshare_user(syscalls.CLONE_NEWNET)
    # Without duplicate address detection an address can be used at once. Nobody else is on this link.
    _write("/proc/sys/net/ipv6/conf/default/accept_dad", "0", optional=True)
    os.write(made, b"n")
    os.close(0)
    _await_end(lifeline)


def _await_end(lifeline: int, program: int = 0) -> None:
    """Wait until the holder has ended, and with it its end of the pipe *lifeline*, or the process *program* has."""
    poller = select.poll()
    poller.register(lifeline, 0)
    if program:
        poller.register(os.pidfd_open(program), select.POLLIN)
    poller.poll()


def _unshare_user(more: int) -> None:
    """Enter a new user namespace, in which this user is root, and new namespaces of the kinds *more*."""
    user, group = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | more)
    # A user without CAP_SETGID outside may write a gid_map only after that (user_namespaces(7)).
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        _write(f"/proc/self/{name}", text)


def _write(path: str, text: str, *, optional: bool = False) -> None:
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(text.encode())
    except OSError:
        if not optional:
            raise


def _run_init(uid: int, words: list[str], errors: int, lifeline: int) -> None:
    """Run *words* as pid 1 of a PID namespace, which the kernel ends with this process."""
    _tie_to_holder(uid)
    program = os.fork()
    if program == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream, target in ((null, 0), (null, 1), (errors, 2)):
            os.dup2(stream, target)
        syscalls.reset_signals()  # Python ignores SIGPIPE, and pasta fails when it finds that
        os.execv(words[0], words[1:])  # noqa: S606 - found in the PATH of the user
    os.close(0)
    _await_end(lifeline, program)


def _make_tun_node() -> None:
    """Make a node /dev/net/tun that every user may open, in a new mount namespace, where only pasta sees it.

    Hosts without udev have one that root alone may open.
    """
    if not os.path.isdir("/dev/net"):
        return
    syscalls.unshare(syscalls.CLONE_NEWNS)
    # Before the first mount, which would appear outside otherwise (mount_namespaces(7), "Shared subtrees").
    syscalls.mount("none", "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
    try:
        node = os.stat("/dev/net/tun").st_rdev
    except FileNotFoundError:
        return
    syscalls.mount("tmpfs", "/dev/net", "tmpfs", 0, "mode=755")
    try:
        os.mknod("/dev/net/tun", 0o20666, node)
        os.chmod("/dev/net/tun", 0o666)  # noqa: S103 - as udev makes it
    except PermissionError:  # no CAP_MKNOD, in a container: the node that it was given has to do
        syscalls.umount2("/dev/net")


def _await_route(namespace: int, init: int, errors: int) -> None:
    """Wait until the program has made a default route in the namespace; when it fails, send the reason and end.

    The program does not say when it is ready, so this looks for the route again and again.
    """
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
    except FileNotFoundError:  # a kernel without IPv6
        return False


def _last_line(text: bytes) -> bytes:
    lines = [line for line in text.splitlines() if line.strip() and b"syslog" not in line]
    return lines[-1][:_LONGEST_REASON] if lines else b"it ended without a word"


def _fail(reason: bytes) -> None:
    try:
        send(0, b"failed " + reason)
    finally:
        os._exit(1)


def _watch(children: tuple[int, ...]) -> None:
    """Wait until the builder has closed its end of the socket, or one of *children* has ended."""
    poller = select.poll()
    poller.register(0, select.POLLIN)
    for child in children:
        poller.register(os.pidfd_open(child), select.POLLIN)
    poller.poll()


try:
    os.setsid()
    hold(int(sys.argv[1]), sys.argv[2:])
except BaseException as problem:  # noqa: BLE001 - whatever it is, it is sent to the builder
    _fail(str(getattr(problem, "strerror", None) or problem).lower().encode())
finally:
    os._exit(0)
