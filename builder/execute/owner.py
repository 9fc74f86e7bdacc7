"""The owner of files that COPY, ADD and WORKDIR create: ``--chown``, and USER for a WORKDIR."""

import os
import re

from pybuild.builder.errors import BuildError
from pybuild.builder.execute.job import Work
from pybuild.runtime.errors import RuntimeHostError, UnknownUser
from pybuild.runtime.rootfs.users import resolve_owner

_NUMBERS = re.compile(r"(\d{1,10})(?::(\d{1,10}))?\Z", re.ASCII)
_LAST_ID = 2**32 - 2
"""2**32 - 1 means "unchanged" to chown(2)."""


def is_number(text: str) -> bool:
    """Return whether ``user[:group]`` consists of numbers, so that no user database of the image is needed."""
    return _NUMBERS.match(text) is not None


def owner_of(text: str, work: Work) -> tuple[int, int]:
    """Return (uid, gid) for ``user[:group]``; names are looked up in /etc/passwd and /etc/group of the rootfs.

    As in BuildKit, an unknown name means root. The output of the step then has a warning.

    Raises:
        BuildError: a number is out of range, or the files cannot be read safely.
    """
    numbers = _NUMBERS.match(text)
    if numbers is not None:
        uid = int(numbers[1])
        # As in Docker, a UID alone is the GID as well (Dockerfile reference, "COPY --chown").
        gid = int(numbers[2]) if numbers[2] else uid
        if max(uid, gid) > _LAST_ID:
            raise BuildError(f"{text}: user and group ids go up to {_LAST_ID}")
        return uid, gid
    try:
        with work.unpacked() as root:
            return resolve_owner(root, text, lambda unknown: work.output(2, _warning(unknown)))
    except RuntimeHostError as error:
        raise BuildError(str(error), hint="names are looked up in /etc/passwd and /etc/group of the image") from error


def _warning(unknown: UnknownUser) -> bytes:
    instead = "root" if unknown.kind == "user" else "the group of the user"
    return os.fsencode(f"warning: {unknown}; using {instead}\n")
