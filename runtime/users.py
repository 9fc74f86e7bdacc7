"""Who owns what the builder copies: ``--chown``, looked up in the root's own /etc/passwd and /etc/group.

How the two files are read is said in `runtime.identity`. They are opened inside the root, must be regular files, and
are read up to a limit; a missing one counts as empty, and none is opened for a number.
"""

import os

from runtime.identity import FILE_LIMIT, find_group, find_user, number_of
from runtime.safepath import Root


def resolve_owner(root: Root, chown: str) -> tuple[int, int]:
    """Resolve the value of ``--chown``, ``user[:group]``, to a uid and gid as BuildKit does.

    Without a group, a number is used for both ids and a name brings its primary group (the documentation of Docker
    promises the uid's number there as well, the program never did so); with a colon and no group behind it, the gid
    is 0. ``root`` is 0 whatever the files say, so that it works without any. Without a user, as in ``:staff``, the
    uid is 0.

    Raises:
        UnknownUser: a name is not in the files, or a number is out of range.
        UnsafePathError: a file that is needed cannot be trusted.
    """
    who, colon, group = os.fsencode(chown).partition(b":")
    number = _number("user", who or b"0")
    if number is None:
        user = find_user(who, _read(root, "etc/passwd"))
        uid, gid = user.uid, user.gid
    else:
        uid = gid = number
    if group:
        explicit = _number("group", group)
        gid = find_group(group, _read(root, "etc/group")) if explicit is None else explicit
    elif colon:
        gid = 0
    return uid, gid


def _number(kind: str, text: bytes) -> int | None:
    return 0 if text == b"root" else number_of(kind, text)


def _read(root: Root, path: str) -> bytes:
    return root.read_file(path, FILE_LIMIT) or b""
