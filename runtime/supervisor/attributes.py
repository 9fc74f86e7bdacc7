"""Extended attributes: a step neither sees the record of an owner nor changes it."""

import os
from errno import ENODATA, EPERM, ERANGE

from pybuild.runtime.ownership.record import ATTRIBUTE, read, visible
from pybuild.runtime.supervisor.caller import Caller, root_of
from pybuild.runtime.supervisor.files import OwnedFiles, own

_LONGEST = 256
_NAME = ATTRIBUTE.encode()


def is_record(caller: Caller, name: int) -> bool:
    """Tell whether a call names the attribute of the record. It may name another one when the kernel looks again."""
    try:
        return caller.text(name, _LONGEST) == _NAME
    except OSError:  # the kernel says what is wrong
        return False


def get(caller: Caller, name: int) -> int | None:
    """Answer getxattr(2) and removexattr(2) and their kin."""
    return -ENODATA if is_record(caller, name) else None


def put(caller: Caller, name: int) -> int | None:
    """Answer setxattr(2) and its kin."""
    return -EPERM if is_record(caller, name) else None


def names(files: OwnedFiles, caller: Caller, place: bytes, buffer: int, size: int, *, follow: bool) -> int | None:
    """Answer listxattr(2) and its kin; None to let the kernel do it, where there is nothing to hide."""
    with root_of(caller, files.root):
        try:
            if read(place, follow=follow) is None:
                return None
            with files.found(caller, place, follow=follow) as fd:
                found = visible(os.listxattr(own(fd)))
        except OSError:
            return None
    data = b"".join(os.fsencode(name) + b"\0" for name in found)
    if size and len(data) > size:
        return -ERANGE
    if size and data:
        caller.write(buffer, data)
    return len(data)
