"""The fork server: forks a sandbox child for each message of the builder, and reaps it.

The message for a run carries five descriptors: the plan, the status pipe, the three streams. The answer is a pidfd of
the child, or a number as text, which is the errno of the fork. The server does not read plans, so that nothing of one
step is in the memory of another. While the builder expects more runs, a spare child prepares itself ahead of the next
one (`keeper.keep_spare`).
"""

import os
import select
from _collections_abc import Callable

from pybuild.runtime.kernel.passing import receive, send, socket_pair
from pybuild.runtime.kernel.syscalls import (
    PR_SET_DUMPABLE,
    block_signals,
    close_range,
    prctl,
    reset_signals,
)
from pybuild.runtime.sandbox.inside.keeper import cut_imports, keep, keep_spare
from pybuild.runtime.sandbox.inside.plan import DEFAULT_RUN, EXPECT

_CHANNEL, _NULL = 0, 1
Keep = Callable[[int, int, int], None]
"""Runs as the keeper, with the plan, the status pipe, and the number of the fork server."""
_DESCRIPTORS = 5  # of a run: plan, status pipe, three streams


def serve(keeper: Keep | None = None) -> None:
    """Fork children until the builder's end of the socket is closed. Never returns.

    Each child runs *keeper*, by default that of a sandbox with namespaces.
    """
    # An ignored SIGCHLD, which a process inherits, would have the kernel reap children before they are waited for.
    # Then all are blocked: Ctrl-C reaches the whole process group, but the builder decides what happens to sandboxes.
    reset_signals()
    block_signals()
    # No process without CAP_SYS_PTRACE may trace it, or read its memory. Children inherit that, until they exec.
    prctl(PR_SET_DUMPABLE, 0)
    cut_imports()
    os.chdir("/")
    # What the builder inherited without close-on-exec, such as a lock of a script, must not stay open in each child.
    close_range(3)
    children = Children(keeper or keep)
    while True:
        children.serve_once()


class Children:
    """The children that are alive, and the spare one."""

    __slots__ = ("_expected", "_keeper", "_living", "_poller", "_spare")

    def __init__(self, keeper: Keep) -> None:
        self._keeper = keeper
        self._living: dict[int, int] = {}
        self._poller = select.poll()
        self._poller.register(_CHANNEL, select.POLLIN)
        self._spare: tuple[int, int] | None = None
        """Its pidfd, and the socket over which it will get its run."""
        self._expected = 0

    def serve_once(self) -> None:
        """Wait for the next message or the end of a child, and handle it."""
        for ready, _ in self._poller.poll():
            if ready in self._living:
                self._reap(ready)
            else:
                self._answer()

    def _reap(self, pidfd: int) -> None:
        os.waitpid(self._living.pop(pidfd), 0)
        self._poller.unregister(pidfd)
        os.close(pidfd)

    def _answer(self) -> None:
        message, descriptors = receive(_CHANNEL, _DESCRIPTORS)
        if not message:  # the builder has ended. The kernel kills the children with this process.
            os._exit(0)
        if message.startswith(EXPECT):
            self._expected += int(message[len(EXPECT) :])
        else:
            self._expected = max(0, self._expected - 1)
            self._run(descriptors, spare_fits=message == DEFAULT_RUN)
        if self._expected and self._spare is None:
            self._prepare()

    def _run(self, descriptors: tuple[int, ...], *, spare_fits: bool) -> None:
        try:
            pidfd = (self._give_to_spare(descriptors) if spare_fits else 0) or self._fork(descriptors)
            send(_CHANNEL, b"1", pidfd)
        except OSError as error:
            send(_CHANNEL, b"%d" % (error.errno or 0))
        for fd in descriptors:
            os.close(fd)

    def _give_to_spare(self, descriptors: tuple[int, ...]) -> int:
        """Pass the run to the spare child and return its pidfd; 0 when it failed or died while it prepared itself.

        The caller then forks another child, which will fail in the same way and report it.
        """
        spare, self._spare = self._spare, None
        if spare is None:
            return 0
        pidfd, channel = spare
        try:
            # Waits until it is ready. There is no message if it has ended before that.
            if not receive(channel, 0)[0]:
                return 0
            send(channel, b"run", *descriptors)
        except BrokenPipeError:  # it has died since
            return 0
        finally:
            os.close(channel)
        return pidfd

    def _prepare(self) -> None:
        ours, theirs = socket_pair()
        try:
            self._spare = (self._fork((), theirs), ours)
        except OSError:  # the next run reports it
            self._expected = 0
            os.close(ours)
        os.close(theirs)

    def _fork(self, descriptors: tuple[int, ...], channel: int = -1) -> int:
        """Fork a keeper, a spare one where there is a *channel*; return a pidfd of it."""
        server = os.getpid()
        child = os.fork()
        if child == 0:
            try:
                _become_child(descriptors, channel, server, self._keeper)
            finally:
                # Whatever was raised, a child must never return to the loop of the server.
                os._exit(1)
        # It cannot be the descriptor of another process: the number is not free before `_reap`.
        pidfd = os.pidfd_open(child)
        self._living[pidfd] = child
        self._poller.register(pidfd, select.POLLIN)
        return pidfd


def _become_child(descriptors: tuple[int, ...], channel: int, server: int, keeper: Keep) -> None:
    if channel >= 0:
        os.dup2(_NULL, _CHANNEL)  # the messages of the builder are for the server alone
        close_all_but(channel)
        keep_spare(channel, server)
        return
    plan, status, *streams = descriptors
    for stream, fd in enumerate(streams):
        os.dup2(fd, stream)
    close_all_but(plan, status)
    keeper(plan, status, server)


def close_all_but(*kept: int) -> None:
    """Close every descriptor except the three streams and *kept*."""
    first = 3
    for fd in sorted(fd for fd in kept if fd >= first):
        if first < fd:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)
