"""The commands' side of the network of a user: using it, starting it for the first use, and working inside of it.

    <directory>/holder.json    the `Holder` of the last network
                users          locked (shared) by each user of the network, so that the kernel counts them
                lock           held while a holder is looked for or started

The callers are root of the user namespace of the containers.
"""

import fcntl
import json
import os
import pickle
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ESRCH
from pathlib import Path
from typing import Any, ParamSpec

from pybuild.runtime.errors import RuntimeHostError, SandboxUnavailable
from pybuild.runtime.kernel.pidfd import boot_id, has_ended, leave, open_process
from pybuild.runtime.kernel.syscalls import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, PR_SET_PDEATHSIG, prctl, setns
from pybuild.runtime.paths.filelock import exclusive
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.sandbox.interpreter import child_argv, child_environment, interpreter
from pybuild.runtime.values import fields, frozen
from pybuild.runtime.worker.messages import WorkerFailure

_HOLDER = Path(__file__).with_name("holder.py")
_PATIENCE = 30.0  # seconds
_SIGKILL = 9
_P = ParamSpec("_P")


class PassedFile(int):
    """The number of an open file, in the process that has the result of a function. It is pickled like any number."""


class NetworkEnded(RuntimeHostError):
    """The network has ended, and with it everything that was set up in it."""

    def __init__(self) -> None:
        super().__init__("the network of the containers has ended")


@frozen
class Holder:
    """The first process inside of a network, and the resolv.conf by which names are found there."""

    pid: int = 0
    started: int = 0
    boot: str = ""
    resolv_conf: str = ""

    @property
    def name(self) -> str:
        """Text that no other holder has had."""
        return f"{self.boot[:8]}-{self.pid}-{self.started}"


@frozen
class Use:
    """A use of the network, which lasts while a copy of the descriptor *users* is open. *process* is a pidfd."""

    holder: Holder
    users: int
    process: int


@contextmanager
def in_use(directory: Path, *, start: bool) -> Iterator[Use | None]:
    """Use the network while the block runs. It is None when there is none, and *start* is not given.

    Raises:
        SandboxUnavailable: this host permits no such network.
    """
    users = os.open(directory / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    process = -1
    try:
        # This waits for a holder that is about to end: it has the exclusive lock then.
        fcntl.flock(users, fcntl.LOCK_SH)
        with exclusive(directory / "lock"):
            holder = _recorded(directory)
            found = _process_of(holder)
            if found is None and start:
                holder = _start(directory, users)
                found = _process_of(holder)
                if found is None:
                    raise SandboxUnavailable("the network of the containers has ended", "try again")
        process = -1 if found is None else found
        yield None if found is None else Use(holder=holder, users=users, process=process)
    finally:
        os.close(users)
        if process >= 0:
            os.close(process)


def user_namespace(directory: Path) -> int:
    """Return a descriptor of the user namespace in which the network is, -1 when there is no network.

    Raises:
        RuntimeHostError: this process may not see it.
    """
    holder = _recorded(directory)
    process = _process_of(holder)
    if process is None:
        return -1
    try:
        return os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise RuntimeHostError("the network of the containers is where this process cannot enter") from error
    finally:
        os.close(process)


@contextmanager
def network_of(use: Use) -> Iterator[int]:
    """Yield a descriptor of the network namespace, open during the block. Raises NetworkEnded."""
    space = os.open(f"/proc/{use.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if has_ended(use.process):  # the number may have been that of another process
            raise NetworkEnded
        yield space
    finally:
        os.close(space)


def call_inside(use: Use, function: Callable[_P, Any], *arguments: _P.args, **options: _P.kwargs) -> Any:
    """Return the result of *function*, called in a new process in the namespaces of the network.

    A `PassedFile` is a descriptor of this process then.

    Raises:
        NetworkEnded: it has ended meanwhile.
        Exception: what *function* raises.
    """
    # Forked twice, here and in `_serve`: this process stays in its namespaces, and only a child enters a PID namespace.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            _serve(use.process, theirs, lambda: function(*arguments, **options))
        finally:
            os._exit(1)
    with ours:
        theirs.close()
        try:
            message, received, _, _ = socket.recv_fds(ours, 16, 2)
        finally:
            os.waitpid(child, 0)
    if message != b"done":
        raise NetworkEnded
    answer, *rest = received
    with open(answer, "rb") as file:
        found = pickle.load(file)  # noqa: S301 - written by a fork of this process
    if isinstance(found, WorkerFailure):
        raise found.error()
    return PassedFile(rest[0]) if isinstance(found, PassedFile) else found


def _serve(process: int, channel: socket.socket, function: Callable[[], Any]) -> None:
    """Enter the network and answer on *channel*, from a child: only children enter a PID namespace."""
    try:
        setns(process, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID)
        child = os.fork()
    except OSError as error:
        _answer(channel, NetworkEnded() if error.errno == ESRCH else error)
        return
    if child:
        os.waitpid(child, 0)
        return
    # The caller waits for the parent of this process only, so this one must not outlive that.
    prctl(PR_SET_PDEATHSIG, _SIGKILL)
    try:
        found = function()
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        _answer(channel, error)
    else:
        _answer(channel, found)


def _answer(channel: socket.socket, found: object) -> None:
    """Send a result or an exception, in a file: a message may not be long."""
    answer = os.memfd_create("answer", os.MFD_CLOEXEC)
    with open(answer, "wb", closefd=False) as file:
        pickle.dump(WorkerFailure.of(found) if isinstance(found, BaseException) else found, file)
    os.lseek(answer, 0, os.SEEK_SET)
    socket.send_fds(channel, [b"done"], [answer, *((int(found),) if isinstance(found, PassedFile) else ())])


def _start(directory: Path, users: int) -> Holder:
    """Start a holder and record it. The caller holds the lock of the directory."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            streams = (theirs.fileno(), users, null)
            try:
                leave(
                    os.posix_spawn(
                        f"/proc/self/fd/{interpreter()}",
                        child_argv(script=_HOLDER),
                        child_environment(),
                        file_actions=[(os.POSIX_SPAWN_DUP2, fd, stream) for stream, fd in enumerate(streams)],
                    )
                )
            finally:
                os.close(null)
        ours.settimeout(_PATIENCE)
        try:
            answer = json.loads(ours.recv(1 << 16) or b"{}")
        except (TimeoutError, ConnectionResetError):
            answer = {}
    if "pid" not in answer:
        reason = answer.get("failed", "its holder was killed").removeprefix("no private network: ")
        raise SandboxUnavailable(f"no network for the containers: {reason}", "install pasta (Debian's package passt)")
    replace_file(directory / "holder.json", json.dumps(answer))
    return _holder(answer)


def _recorded(directory: Path) -> Holder:
    try:
        return _holder(json.loads((directory / "holder.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, AttributeError):  # missing, or damaged by hand
        return Holder()


def _holder(members: dict[str, Any]) -> Holder:
    known = {each.name for each in fields(Holder)}
    return Holder(**{name: value for name, value in members.items() if name in known})


def _process_of(holder: Holder) -> int | None:
    """Return a pidfd of the first process inside, None when it has ended."""
    if not holder.pid or holder.boot != boot_id():
        return None
    process = open_process(holder.pid, holder.started)
    if process is not None and has_ended(process):  # and its parent has not noticed that yet
        os.close(process)
        return None
    return process
