"""Answers to bind(2), by which a Unix socket gets a file. The file belongs to the identity of the process that calls.

A socket keeps the text of its address: getsockname(2) and /proc/net/unix show it, and programs remove the file by it
in the end. So the supervisor does not bind it to another path of the same directory. It binds a copy of the caller's
descriptor to the address that it has read, in the caller's root and directory.
"""

import os
import struct
from _socket import AF_UNIX

from pybuild.runtime.kernel.passing import bind as bind_socket
from pybuild.runtime.supervisor.caller import AT_FDCWD, Arguments, Caller, directory_of, signed, umask_of
from pybuild.runtime.supervisor.create_calls import Creator

_FAMILY = struct.Struct("=H")
_LONGEST = 110
"""The size of struct sockaddr_un, in which a path of 108 bytes has no NUL at its end."""


def bind(caller: Caller, creator: Creator, a: Arguments) -> int | None:
    """Answer ``bind``; None to let the kernel carry it out, which reads the address again.

    The kernel may have all that makes no file, or one for root. If the caller writes another address meanwhile, a file
    that it makes belongs to root, and no more is wrong.
    """
    number, size = signed(a[0]), signed(a[2])
    if not _FAMILY.size < size <= _LONGEST:
        return None
    address = caller.read(a[1], size)
    path = _path(address)
    if not path:
        return None
    place = caller.place(AT_FDCWD, path)
    if creator.makes_for_root(caller, place):
        return None
    try:
        socket = caller.copy(number)
    except OSError:  # there is no such descriptor, or the kernel or a filter outside has no pidfd_getfd(2) for it
        return None
    try:
        return creator.make(caller, place, lambda _: _bind(caller, socket, address))
    finally:
        os.close(socket)


def _path(address: bytes) -> bytes:
    """Return the path in an address, b"" if it has none: it is of another family, or a name that is no file."""
    (family,) = _FAMILY.unpack_from(address)
    return address[_FAMILY.size :].partition(b"\0")[0] if family == AF_UNIX else b""


def _bind(caller: Caller, socket: int, address: bytes) -> None:
    # The mode is that of the socket itself, which fchmod(2) may have changed, without the bits of the umask.
    with umask_of(caller), directory_of(caller):
        bind_socket(socket, address)
