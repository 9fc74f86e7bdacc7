"""Unix sockets, for processes of the sandbox, in which an import of `socket` takes too long.

A message is a few bytes with any number of descriptors, which are close-on-exec in the receiver.
"""

import ctypes
import os
import select
import sys
from _socket import AF_UNIX, CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket, socketpair

_LONGEST = 64  # bytes of a message, which is a word or a number
_WIDTH = 4  # bytes of a descriptor: an int in C
_libc = ctypes.CDLL(None, use_errno=True)


def socket_pair() -> tuple[int, int]:
    """Return both ends of a new socket that keeps messages apart (SOCK_SEQPACKET)."""
    first, second = socketpair(AF_UNIX, SOCK_SEQPACKET)
    return first.detach(), second.detach()


def send(end: int, message: bytes, *descriptors: int) -> None:
    """Send *message*, which must not be empty, with *descriptors*."""
    numbers = b"".join(fd.to_bytes(_WIDTH, sys.byteorder) for fd in descriptors)
    opened = socket(AF_UNIX, SOCK_SEQPACKET, 0, end)
    try:
        # On the socket, and not on a copy of the descriptor; `detach` keeps the object from closing it.
        opened.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, numbers)] if descriptors else [])
    finally:
        opened.detach()


def receive(end: int, most: int) -> tuple[bytes, tuple[int, ...]]:
    """Wait for a message; return it and its descriptors, at most *most*. At the end of the stream both are empty."""
    opened = socket(AF_UNIX, SOCK_SEQPACKET, 0, end)
    try:
        message, ancillary, _, _ = opened.recvmsg(_LONGEST, CMSG_SPACE(most * _WIDTH), MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # the other end was closed before it had read all messages
        return b"", ()
    finally:
        opened.detach()
    numbers = b"".join(data for _, kind, data in ancillary if kind == SCM_RIGHTS)
    starts = range(0, len(numbers), _WIDTH)
    return message, tuple(int.from_bytes(numbers[at : at + _WIDTH], sys.byteorder) for at in starts)


def wait_for_message(end: int, child: int) -> bool:
    """Wait for a message, or the end of the stream. Return False if the process *child* has ended before."""
    pidfd = os.pidfd_open(child)
    try:
        poller = select.poll()
        for fd in (end, pidfd):
            poller.register(fd, select.POLLIN)
        # If both are ready, the message counts: it may be for the child, too, which has done its work by now.
        return end in dict(poller.poll())
    finally:
        os.close(pidfd)


def bind(end: int, address: bytes) -> None:
    """Bind a socket to *address*, a whole ``struct sockaddr``: `socket` refuses some that the kernel takes."""
    if _libc.bind(end, address, len(address)):
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
