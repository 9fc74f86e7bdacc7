"""Who a process runs as and who owns a copied file: Docker's rules, by the root's own /etc/passwd and /etc/group.

The files belong to the image, so they are hostile: opened inside the root, regular files only, read up to a limit.
Nothing of the host's user database is ever asked, and no code of libc's name service runs.

A number is always an id, never a name. A missing file counts as empty; one that cannot be trusted is an error for
everybody who would be looked up in it, because a process with too few groups can do more than it should (a group may
be *denied* something). Lines that are no entries (too few fields, an id that is no number) are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.errors import RuntimeHostError, UnsafePathError
from runtime.safepath import Root

MAX_ID = 2**32 - 2
"""The highest uid and gid; the one above means "leave as it is" to the kernel."""
FILE_LIMIT = 10 << 20
"""How much of a user database is read; BuildKit has the same limit."""


class UnknownUser(RuntimeHostError):
    """A user or group is not in the files of the root, or its number is out of range."""


@dataclass(frozen=True, slots=True)
class UserIds:
    """What a process runs as. *groups* are all its groups, the primary one first."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    uid: int
    gid: int
    home: str


def resolve_user(root: Root, user: str) -> UserIds:
    """Resolve the user of an image config, ``name|uid[:name|gid]``, "" being root.

    A user that is in /etc/passwd brings its primary group, its home and the groups it is a member of. A number that is
    not there gets group 0 and the home "/". An explicit group replaces the groups of the user altogether.
    """
    who, _, group = user.partition(":")
    number = _number(who or "0")
    found = _find_user(root, who, number)
    uid, gid, home = (found.uid, found.gid, found.home or "/") if found else (number or 0, 0, "/")
    if group:
        gid = _group_id(root, group)
        return UserIds(uid, gid, (gid,), home)
    members = _memberships(root, found.name) if found else ()
    return UserIds(uid, gid, tuple(dict.fromkeys((gid, *members))), home)


def resolve_owner(root: Root, chown: str) -> tuple[int, int]:
    """Resolve the value of ``--chown``, ``user[:group]``, to a uid and gid as BuildKit does.

    Without a group, a number is used for both ids and a name brings its primary group (the documentation of Docker
    promises the uid's number there as well, the program never did so). ``root`` is 0 whatever the files say, so that it
    works without any. Without a user, as in ``:staff``, the uid is 0.
    """
    who, _, group = chown.partition(":")
    number = _owner_number(who) if who else 0
    if number is None:
        found = _find_user(root, who, None)
        uid, gid = (found.uid, found.gid) if found else (0, 0)
    else:
        uid, gid = number, number
    if group:
        explicit = _owner_number(group)
        gid = _group_id(root, group) if explicit is None else explicit
    return uid, gid


def _owner_number(text: str) -> int | None:
    return 0 if text == "root" else _number(text)


def _number(text: str) -> int | None:
    """Return the id that *text* spells, None when it is a name."""
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if text[:1] == "-" or len(digits) > 10 or int(digits) > MAX_ID:
        raise UnknownUser(f"user or group id {text} is out of range: it must be between 0 and {MAX_ID}")
    return int(digits)


def _find_user(root: Root, name: str, number: int | None) -> _User | None:
    """Return the first entry of the user; None only for a number that has none."""
    for fields in _entries(root, "etc/passwd", 4):
        uid, gid = _id(fields[2]), _id(fields[3])
        if uid is not None and gid is not None and (fields[0] == name if number is None else uid == number):
            return _User(fields[0], uid, gid, fields[5] if len(fields) > 5 else "")
    if number is None:
        raise UnknownUser(f"unable to find user {name}: no matching entries in passwd file")
    return None


def _group_id(root: Root, group: str) -> int:
    number = _number(group)
    if number is not None:
        return number
    for fields in _entries(root, "etc/group", 3):
        gid = _id(fields[2])
        if fields[0] == group and gid is not None:
            return gid
    raise UnknownUser(f"unable to find group {group}: no matching entries in group file")


def _memberships(root: Root, name: str) -> Iterator[int]:
    for fields in _entries(root, "etc/group", 4):
        gid = _id(fields[2])
        if gid is not None and name in fields[3].split(","):
            yield gid


def _entries(root: Root, path: str, least: int) -> Iterator[list[str]]:
    """Yield the fields of each line that has at least so many."""
    try:
        content = root.read_file(path, FILE_LIMIT) or b""
    except UnsafePathError as error:
        raise UnknownUser(f"unable to look up users and groups: /{error}") from error
    # One line at a time, so that the file costs memory once and not a hundredfold.
    for line in re.finditer(rb"[^\n]+", content):
        fields = line[0].decode("utf-8", "surrogateescape").strip().split(":", 7)
        if len(fields) >= least and fields[0] and not fields[0].startswith("#"):
            yield fields


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID else None
