"""The owner of copied files: ``--chown``, resolved by /etc/passwd and /etc/group of the rootfs.

`runtime.rootfs.identity` documents how the two files are read. They are opened inside the rootfs, must be regular
files, and are read up to a limit. A missing file counts as empty, and a number is resolved without them.
"""

import os
from collections.abc import Callable
from typing import TypeVar

from pybuild.runtime.errors import UnknownUser
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.identity import FILE_LIMIT, PasswdLine, find_group, find_user, number_of

_T = TypeVar("_T")
Report = Callable[[UnknownUser], None]
_ROOT = PasswdLine(b"root", 0, 0, b"")


def resolve_owner(root: Root, chown: str, report: Report) -> tuple[int, int]:
    """Resolve the value of ``--chown``, ``user[:group]``, to a uid and gid as BuildKit does.

    Without a group, a number is used for both ids and a name gets its primary group (the documentation of Docker
    promises the uid's number there as well, the program never did so); with a colon and no group behind it, the gid
    is 0. ``root`` is 0 whatever the files say, so that it works without any. Without a user, as in ``:staff``, the
    uid is 0. A name that is not in the files goes to *report* and counts for nothing: the user is root then, the group
    that of the user.

    Raises:
        UnknownUser: a number is out of range.
        UnsafePathError: a file that is needed cannot be trusted.
    """
    who, colon, group = os.fsencode(chown).partition(b":")
    number = _number("user", who or b"0")
    if number is None:
        user = _found(lambda: find_user(who, _read(root, "etc/passwd")), _ROOT, report)
        uid, gid = user.uid, user.gid
    else:
        uid = gid = number
    if group:
        explicit = _number("group", group)
        if explicit is None:
            explicit = _found(lambda: find_group(group, _read(root, "etc/group")), gid, report)
        gid = explicit
    elif colon:
        gid = 0
    return uid, gid


def _found(find: Callable[[], _T], otherwise: _T, report: Report) -> _T:
    try:
        return find()
    except UnknownUser as error:
        report(error)
        return otherwise


def _number(kind: str, text: bytes) -> int | None:
    return 0 if text == b"root" else number_of(kind, text)


def _read(root: Root, path: str) -> bytes:
    return root.read_file(path, FILE_LIMIT) or b""
