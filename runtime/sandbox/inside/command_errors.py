"""Failures for which the command or the image is to blame, and not the host, in the words that users read."""

import os
from errno import EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOTDIR

ENTERING = "enter working directory"
_OF_THE_IMAGE = (
    *("find user", "find group", "read users", "read groups"),
    *(ENTERING, "find mount source", "find mount point"),
)
_PLACES = {
    ENOTDIR: "a file is in the way, where a directory is needed",
    EISDIR: "a directory is in the way, where a file is needed",
    ELOOP: "too many symlinks on the way",
    ENAMETOOLONG: "the name is too long",
    EINVAL: "",
}
"""Why a mount point is unusable, by errno; the sandbox explains EINVAL itself."""


def is_mounting(operation: str) -> bool:
    """Return whether *operation* is that of a mount: mount KIND on."""
    return operation.startswith("mount ") and operation.endswith(" on")


def mistake(operation: str, path: str, errno: int, message: str) -> str:
    """Return what to say of the mistake that the failed *operation* shows; "" when the host is to blame.

    *message* is that of the `SandboxError`.
    """
    if operation in _OF_THE_IMAGE:
        kernel = os.strerror(errno)
        # Messages of the kernel start with a capital.
        lower = message.removesuffix(kernel) + kernel.lower() if message.endswith(kernel) else message
        return f"unable to {lower}"
    if operation == "execute" and errno == EINVAL:
        return "an argument or a variable of the process has a NUL byte"
    if is_mounting(operation) and errno in _PLACES:
        return f"cannot mount on {path}: {_PLACES[errno] or message.partition(': ')[2]}"
    return ""
