"""The part of a sandbox that needs no plan: namespaces, /dev and /sys, and the processes that wait for the plan."""

import os

from pybuild.runtime.kernel.chroot import SavedMounts
from pybuild.runtime.kernel.passing import send, socket_pair, wait_for_message
from pybuild.runtime.kernel.syscalls import SIGCHLD, SIGKILL, move_mount, wait_signal
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.detached_root import SystemMounts
from pybuild.runtime.sandbox.inside.guard import GuardSockets, guard
from pybuild.runtime.sandbox.inside.namespaces import JoinedNamespaces, enter_namespaces
from pybuild.runtime.sandbox.inside.plan import END, SandboxSettings


class Preparation:
    """What a keeper makes before it reads its plan: namespaces, /dev, /sys, and the guard and the first process."""

    __slots__ = ("_guard", "_host_mounts", "_settings", "_to_guard", "_to_program", "system")

    def __init__(self, settings: SandboxSettings, *kept: int, joined: JoinedNamespaces | None = None) -> None:
        """Prepare a sandbox with the `prepared_settings` of *settings*. The guard closes the descriptors *kept*.

        Without a network among those *joined*, it is the one that *settings* names.
        """
        joined = JoinedNamespaces() if joined is None else joined
        self._settings = settings.prepared_settings()
        os.setsid()  # Ctrl-C is for the builder, which decides what becomes of the sandbox
        # Before the namespaces are made: a cgroup namespace shows the group of its maker as the root.
        _join_cgroups(settings.cgroups)
        self._host_mounts = SavedMounts()
        memory = enter_namespaces(settings, joined, self._host_mounts)
        self.system = SystemMounts(records=settings.isolation.supervision is not None)
        # A socket for each: on a common one, either could receive the message for the other.
        self._to_guard, guards = socket_pair()
        self._to_program, programs = socket_pair()
        # Forked before /dev and /sys are mounted, so that the guard and its child start up in the meantime.
        kept = *kept, self._to_guard, self._to_program, *((memory,) if memory >= 0 else ())
        self._guard = self._fork_guard((guards, programs), kept, settings, joined)
        try:
            self.system.build(settings)
            if memory >= 0:
                with Operation("mount", b"/dev/shm"):
                    move_mount(memory, self.system.dev, "shm")
        except BaseException:
            self.end()
            raise

    def _fork_guard(
        self, sockets: tuple[int, int], kept: tuple[int, ...], settings: SandboxSettings, joined: JoinedNamespaces
    ) -> int:
        # The guard reads from it once, without waiting: the end of the pipe means that this process has died.
        alive, lifeline = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        child = os.fork()
        if child == 0:
            try:
                for fd in (lifeline, *kept):
                    os.close(fd)
                guard(GuardSockets(alive, *sockets), self.system, settings, joined)
            finally:
                os._exit(0)
        for fd in (alive, *sockets, *((joined.pid,) if joined.pid >= 0 else ())):
            os.close(fd)
        return child

    def wait(self, channel: int) -> bool:
        """Report that all is ready and wait for a run; return False when the guard has died meanwhile."""
        send(channel, b"ready")
        return wait_for_message(channel, self._guard)

    def check(self, settings: SandboxSettings) -> None:
        """Raise ValueError for a plan whose environment is not the prepared one."""
        if settings.prepared_settings() != self._settings:
            raise ValueError("this keeper is prepared for something else")

    def leave(self) -> None:
        """Go back to the host's mounts."""
        self._host_mounts.restore()

    def start(self, what: bytes, status: tuple[int, ...], run: tuple[int, ...]) -> None:
        """Send the guard and the first process what they wait for.

        The guard gets the descriptors of *status*. The first process gets those of *run* and *status*, and the message
        *what*, which says whether a terminal is among them.
        """
        with Operation("start the guard"):
            send(self._to_guard, b"go", *status)
            send(self._to_program, what, *run, *status)

    def await_end(self) -> None:
        """Forward signals until the guard has ended, and with it every process inside. END kills it at once."""
        while self._guard:
            # The number is enough, without a pidfd: the kernel gives that of a child to nobody before it is reaped.
            number = wait_signal()
            if number != SIGCHLD:
                os.kill(self._guard, SIGKILL if number == END else number)
            elif os.waitpid(self._guard, os.WNOHANG)[0]:
                self._guard = 0

    def end(self) -> None:
        """End every process inside. Idempotent."""
        if self._guard:
            os.kill(self._guard, SIGKILL)
            os.waitpid(self._guard, 0)
            self._guard = 0


def _join_cgroups(files: tuple[bytes, ...]) -> None:
    for path in files:
        with Operation("join cgroup", path), open(path, "wb", buffering=0) as file:
            file.write(b"0")
