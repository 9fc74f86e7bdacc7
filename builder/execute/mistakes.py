"""Distinguishing failures of a sandbox: mistakes in the Dockerfile or the image, and failures of the host."""

import os
import re
from errno import EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOTDIR

from pybuild.builder.errors import BuildError
from pybuild.runtime.errors import SandboxError

_OF_THE_IMAGE = frozenset(
    {
        *("find user", "find group", "read users", "read groups"),
        *("enter working directory", "find mount source", "find mount point"),
    }
)
_MOUNTING = re.compile("mount ([a-z]+) on")
_PLACES = {
    ENOTDIR: "a file is in the way, where a directory is needed",
    EISDIR: "a directory is in the way, where a file is needed",
    ELOOP: "too many symlinks on the way",
    ENAMETOOLONG: "the name is too long",
    EINVAL: "",
}
"""Why a mount point is unusable, by errno; the sandbox explains EINVAL itself."""

_HINTS = dict.fromkeys(
    ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"),
    "every step gets this file, so the image may only have a file there, or nothing",
)


def mistake(error: SandboxError) -> BuildError | None:
    """Return *error* as a mistake in the Dockerfile or the image; None when the host is to blame."""
    if error.operation in _OF_THE_IMAGE:
        return BuildError(f"unable to {_lower(error)}")
    if error.operation == "execute" and error.errno == EINVAL:
        return BuildError("an argument or a variable of the process has a NUL byte")
    if _MOUNTING.fullmatch(error.operation) and error.errno in _PLACES:
        why = _PLACES[error.errno] or str(error).partition(": ")[2]
        return BuildError(f"cannot mount on {error.path}: {why}", hint=_HINTS.get(error.path, ""))
    return None


def _lower(error: SandboxError) -> str:
    """Return the text of *error* in lower case: messages of the kernel start with a capital."""
    text, kernel = str(error), os.strerror(error.errno)
    return text.removesuffix(kernel) + kernel.lower() if text.endswith(kernel) else text
