"""The fork server: forks a sandbox child for each message of the builder, and reaps it.

A message brings five descriptors: the plan, the status pipe, the three streams. The answer is a pidfd of the child, or
the errno of a fork that failed as text. No plan is read here, so nothing of one step is in the memory of another.
"""

import os
import select

from pybuild.runtime.kernel.syscalls import (
    PR_SET_DUMPABLE,
    block_signals,
    close_range,
    prctl,
    receive_descriptors,
    reset_signals,
    send_descriptor,
)
from pybuild.runtime.sandbox.inside.keeper import cut_imports, keep

_CHANNEL = 0
_DESCRIPTORS = 5


def serve() -> None:
    """Fork children until the builder's end of the socket is closed. Never returns."""
    # Ctrl-C is for the builder, which decides what becomes of the sandboxes.
    # Reset first: a SIGCHLD that the builder's parent ignored would leave no child to wait for.
    reset_signals()
    block_signals()
    prctl(PR_SET_DUMPABLE, 0)
    cut_imports()
    os.chdir("/")
    close_range(3)
    children: dict[int, int] = {}
    poller = select.poll()
    poller.register(_CHANNEL, select.POLLIN)
    while True:
        for ready, _ in poller.poll():
            if ready in children:
                os.waitpid(children.pop(ready), 0)
                poller.unregister(ready)
                os.close(ready)
                continue
            child = _answer()
            if child:
                pidfd = _tell(child)
                children[pidfd] = child
                poller.register(pidfd, select.POLLIN)


def _answer() -> int:
    """Fork the child that the next message asks for and return its process id, 0 if that failed."""
    descriptors = receive_descriptors(_CHANNEL, _DESCRIPTORS)
    if len(descriptors) != _DESCRIPTORS:  # the builder is gone, and the kernel ends our children with us
        os._exit(0)
    server = os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        os.write(_CHANNEL, b"%d" % (error.errno or 0))
        child = 0
    else:
        if child == 0:
            _become_child(descriptors, server)
    for fd in descriptors:
        os.close(fd)
    return child


def _become_child(descriptors: tuple[int, ...], server: int) -> None:
    plan, status, *streams = descriptors
    for stream, fd in enumerate(streams):
        os.dup2(fd, stream)
    close_all_but(plan, status)
    keep(plan, status, server)


def close_all_but(*kept: int) -> None:
    """Close every descriptor but the three streams and those of *kept*."""
    first = 3
    for fd in sorted(fd for fd in kept if fd >= first):
        if first < fd:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)


def _tell(child: int) -> int:
    pidfd = os.pidfd_open(child)
    send_descriptor(_CHANNEL, pidfd)
    return pidfd
