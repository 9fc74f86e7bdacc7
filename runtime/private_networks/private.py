"""The builder's side of private networks. Each belongs to one sandbox."""

import os
import select
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pybuild.runtime.advice import as_root, installing
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.user_namespace import in_initial_namespace
from pybuild.runtime.private_networks.programs import Carrier, Forward, carrier, resolv_conf_in
from pybuild.runtime.sandbox.hostfiles import host_resolvers
from pybuild.runtime.sandbox.interpreter import child_argv, child_environment, interpreter

NOBODY = 65534
"""The user that pasta runs as when root builds. It owns no files, and pasta itself would change to it."""
_HOLDER = Path(__file__).with_name("holder.py")
_PATIENCE = 15.0  # seconds: more than the 10 after which the holder itself gives up, and sends the reason
_TUN = "/dev/net/tun"
_INSTALL = "install pasta (Debian's package passt), or give --network=host"
_OPEN_TUN = f"{_TUN} must be there and be open for everybody, as udev makes it: chmod 666 {_TUN}"


class PrivateNetwork:
    """A network that is being made. `wait` must be called before its use; `close`, or the end of a block, ends it."""

    def __init__(self, found: Carrier, resolv_conf: bytes) -> None:
        self.namespace = -1
        """A descriptor of the network namespace, after `wait` has returned."""
        self.resolv_conf = resolv_conf_in(found.resolver, resolv_conf)
        self._of_host = resolv_conf
        self.program = os.path.basename(found.words[0])
        self._channel, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far_end:
            uid = NOBODY if is_root() else -1
            self._pid = _spawn(child_argv(uid, found.file, *found.words, script=_HOLDER), far_end.fileno())

    def wait(self) -> None:
        """Wait until it can be used. Raises SandboxUnavailable with the message of the program."""
        if self.namespace >= 0:
            return
        self._channel.settimeout(_PATIENCE)
        try:
            message, received, _, _ = socket.recv_fds(self._channel, 1024, 1)
        except TimeoutError:
            message, received = b"failed it does not answer", []
        if not received:
            self.close()
            reason = message.partition(b" ")[2].decode("utf-8", "replace") or "its holder was killed"
            raise SandboxUnavailable(f"no private network: {self.program}: {reason}", *_remedy(reason))
        (self.namespace,) = received

    def is_fresh(self) -> bool:
        """Return whether its processes are alive, and the host still has the name servers of the time of its start."""
        poller = select.poll()
        poller.register(self._channel, 0)
        return not poller.poll(0) and self._of_host == host_resolvers()

    @property
    def path(self) -> bytes:
        """The path by which a child of this process opens the namespace."""
        return b"/proc/%d/fd/%d" % (os.getpid(), self.namespace)

    def hand_over(self) -> tuple[int, int]:
        """Return descriptors of the namespace and of the socket that keeps it, which the caller owns from now on.

        The network ends when the last copy of the socket is closed.
        """
        # `close`, which is still called, must neither close them nor wait for the holder.
        namespace, self.namespace, self._pid = self.namespace, -1, 0
        return namespace, self._channel.detach()

    def close(self) -> None:
        """End the network and all of its processes. Idempotent."""
        self._channel.close()
        if self.namespace >= 0:
            os.close(self.namespace)
            self.namespace = -1
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()


def missing() -> str:
    """Return why private networks cannot work here, as far as programs and files show; "" if they may."""
    if carrier(b"") is None:
        return "neither pasta nor slirp4netns is installed"
    if not os.path.exists(_TUN):
        return f"there is no {_TUN}"
    if not is_root() and not os.access(_TUN, os.R_OK | os.W_OK, effective_ids=True):
        return f"{_TUN} cannot be opened by this user"
    return ""


def may_listen(port: int) -> bool:
    """Return whether the program that carries a network may listen at this port of the host."""
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        return port >= int(file.read())


def is_root() -> bool:
    """Return whether this process is root outside of user namespaces, and so may become another user."""
    return os.geteuid() == 0 and in_initial_namespace()


def begin(forwards: Sequence[Forward] = ()) -> PrivateNetwork:
    """Start a network into which these ports of the host are forwarded. Raises SandboxUnavailable."""
    resolv_conf = host_resolvers()
    found = carrier(resolv_conf, forwards)
    if found is None:
        raise SandboxUnavailable(f"no private network: {missing()}", _INSTALL, installing("passt"))
    return PrivateNetwork(found, resolv_conf)


def _spawn(words: list[str], channel: int) -> int:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, channel, 0), *((os.POSIX_SPAWN_DUP2, null, stream) for stream in (1, 2))]
        return os.posix_spawn(f"/proc/self/fd/{interpreter()}", words, child_environment(), file_actions=actions)
    finally:
        os.close(null)


def _remedy(reason: str) -> tuple[str, str]:
    """Return the hint and the command for what pasta or slirp4netns printed: they have no exit codes of their own."""
    # "Failed to open tun socket", or the path.
    return (_OPEN_TUN, as_root(f"chmod 666 {_TUN}")) if "tun" in reason else (_INSTALL, "")
