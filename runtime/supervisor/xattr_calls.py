"""Answers to calls about extended attributes, by which a step neither sees nor changes the attribute with the owner."""

import os
from errno import ENODATA, EPERM, ERANGE

from pybuild.runtime.ownership.record import ATTRIBUTE, read, visible
from pybuild.runtime.supervisor.caller import Caller
from pybuild.runtime.supervisor.files import OwnedFiles, descriptor_path

_LONGEST = 256  # XATTR_NAME_MAX of linux/limits.h, and a NUL
_NAME = ATTRIBUTE.encode()


def is_record(caller: Caller, name: int) -> bool:
    """Return whether a call names the attribute of the record.

    The name is in memory of the caller, who may change it before the kernel reads it again. So a step can get at the
    record on purpose, which only makes its own layer wrong.
    """
    try:
        return caller.text(name, _LONGEST) == _NAME
    except OSError:  # no such memory: the kernel will say so
        return False


def get(caller: Caller, name: int) -> int | None:
    """Answer getxattr(2), removexattr(2) and their variants; None to let the kernel carry them out."""
    return -ENODATA if is_record(caller, name) else None


def put(caller: Caller, name: int) -> int | None:
    """Answer setxattr(2) and its variants; None to let the kernel carry them out."""
    return -EPERM if is_record(caller, name) else None


def names(files: OwnedFiles, caller: Caller, place: bytes, buffer: tuple[int, int], *, follow: bool) -> int | None:
    """Answer listxattr(2) and its variants; None to let the kernel carry them out if there is nothing to hide.

    *buffer* is the address and the size of the caller's memory for the answer.
    """
    address, size = buffer
    with files.root_of(caller):
        try:
            if read(place, follow=follow) is None:
                return None
            with files.found(caller, place, follow=follow) as fd:
                found = visible(os.listxattr(descriptor_path(fd)))
        except OSError:  # the kernel will fail as well, and return the right errno
            return None
    data = b"".join(os.fsencode(name) + b"\0" for name in found)
    if size and len(data) > size:
        return -ERANGE
    if size and data:
        caller.write(address, data)
    return len(data)
