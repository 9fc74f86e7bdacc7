"""Descriptors that pass from one process to another over Unix sockets, for processes that cannot import `socket`.

Each message is a few bytes with any number of descriptors, which are close-on-exec where they arrive.
"""

import os
import select
import sys
from _socket import AF_UNIX, CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket, socketpair

_MOST = 64  # bytes of a message: each is a word or a number
_WIDTH = 4  # bytes of a descriptor, an int of C


def socket_pair() -> tuple[int, int]:
    """Return both ends of a new socket."""
    first, second = socketpair(AF_UNIX, SOCK_SEQPACKET)
    return first.detach(), second.detach()


def send(end: int, message: bytes, *descriptors: int) -> None:
    """Send *message*, of which there must be a byte, with *descriptors*."""
    numbers = b"".join(fd.to_bytes(_WIDTH, sys.byteorder) for fd in descriptors)
    opened = socket(AF_UNIX, SOCK_SEQPACKET, 0, end)
    try:
        opened.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, numbers)] if descriptors else [])
    finally:
        opened.detach()


def receive(end: int, most: int) -> tuple[bytes, tuple[int, ...]]:
    """Wait for a message and return it with the descriptors that came, at most *most*; nothing at the end."""
    opened = socket(AF_UNIX, SOCK_SEQPACKET, 0, end)
    try:
        message, ancillary, _, _ = opened.recvmsg(_MOST, CMSG_SPACE(most * _WIDTH), MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # the other end went away with something unread
        return b"", ()
    finally:
        opened.detach()
    numbers = b"".join(data for _, kind, data in ancillary if kind == SCM_RIGHTS)
    places = range(0, len(numbers), _WIDTH)
    return message, tuple(int.from_bytes(numbers[at : at + _WIDTH], sys.byteorder) for at in places)


def wait_for_message(end: int, child: int) -> bool:
    """Wait for a message, or the end of all; False when there is none because *child*, a process, has ended first."""
    pidfd = os.pidfd_open(child)
    try:
        poller = select.poll()
        for fd in (end, pidfd):
            poller.register(fd, select.POLLIN)
        # Who got a message of the same moment may have done its work and ended by now: the message counts.
        return end in dict(poller.poll())
    finally:
        os.close(pidfd)
