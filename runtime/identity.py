"""Who a process is, by the /etc/passwd and /etc/group of its own root: the rules of ``USER`` as Docker has them."""

import os
from errno import EFBIG, EINVAL, ENOENT
from stat import S_ISREG

from runtime.stubs import open_inside
from runtime.wire import Operation

_MAX_FILE = 10 << 20
_MAX_ID = (1 << 32) - 2  # 2**32 - 1 means "leave unchanged" in setuid and chown


class Identity:
    """The ids of a process and the home folder of its user."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...], home: bytes) -> None:
        self.uid, self.gid, self.groups, self.home = uid, gid, groups, home


def resolve_identity(root: int, user: bytes) -> Identity:
    """Return the ids for *user*, ``name|uid[:name|gid]`` or empty for root.

    Raises SandboxError when a name is unknown, or a number out of range. A number need not be in the files.
    """
    name, _, group = user.partition(b":")
    with Operation("read users", b"/etc/passwd"):
        passwd = read_bounded(root, b"etc/passwd", _MAX_FILE)
    with Operation("read groups", b"/etc/group"):
        groups = read_bounded(root, b"etc/group", _MAX_FILE)
    return match_identity(name, group, passwd, groups)


def match_identity(user: bytes, group: bytes, passwd: bytes, groups: bytes) -> Identity:
    """Return the ids of *user* and *group* by the contents of the two files."""
    user = user or b"0"
    entry = _find(passwd, user)
    if entry is None and not user.isdigit():
        raise Operation("find user", user).failed(ENOENT, "no matching entries in passwd file")
    name, _, uid, gid, _, home, *_ = entry or (b"", b"", user, b"0", b"", b"")
    if group:
        # An explicit group replaces the user's own and drops the supplementary ones.
        primary = _group_id(group, groups)
        return Identity(_number(uid, user), primary, (primary,), home or b"/")
    primary = _number(gid or b"0", user)
    return Identity(_number(uid, user), primary, (primary, *_memberships(name, groups, primary)), home or b"/")


def _group_id(group: bytes, groups: bytes) -> int:
    entry = _find(groups, group)
    if entry is None and not group.isdigit():
        raise Operation("find group", group).failed(ENOENT, "no matching entries in group file")
    return _number(entry[2] if entry else group, group)


def _memberships(name: bytes, groups: bytes, primary: int) -> list[int]:
    found: list[int] = []
    for fields in _entries(groups) if name else ():
        if name in fields[3].split(b","):
            gid = _number(fields[2], fields[0])
            if gid != primary and gid not in found:
                found.append(gid)
    return found


def _find(content: bytes, key: bytes) -> tuple[bytes, ...] | None:
    """Return the first line that *key* names: by its id when *key* is a number, else by its name."""
    field = 2 if key.isdigit() else 0
    wanted = key.lstrip(b"0") or b"0" if key.isdigit() else key
    return next((fields for fields in _entries(content) if fields[field] == wanted), None)


def _entries(content: bytes) -> list[tuple[bytes, ...]]:
    # Fields that a line lacks are empty, as Docker reads them; a line without a number for an id is no entry.
    lines = (line.strip() for line in content.split(b"\n"))
    entries = ((*line.split(b":"), *[b""] * 7)[:7] for line in lines if not line.startswith(b"#"))
    return [entry for entry in entries if entry[0] and entry[2].isdigit()]


def _number(text: bytes, name: bytes) -> int:
    # 10 digits are enough for 32 bits; longer ones would only keep int() busy.
    if not text.isdigit() or len(text) > 10 or int(text) > _MAX_ID:
        raise Operation("find user", name[:64]).failed(EINVAL, f"id out of range: {text[:32].decode(errors='replace')}")
    return int(text)


def read_bounded(root: int, path: bytes, limit: int) -> bytes:
    """Return the content of a regular file inside *root*, b"" when there is none.

    An image may bring an /etc/passwd of any size and kind. One that cannot be trusted is an error: a process that got
    too few groups could do more than it should, because a group can also be denied something.
    """
    try:
        fd = open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return b""
    with open(fd, "rb", buffering=0) as file:
        status = os.fstat(fd)
        if not S_ISREG(status.st_mode):
            raise OSError(EINVAL, os.strerror(EINVAL), path)
        if status.st_size > limit:
            raise OSError(EFBIG, os.strerror(EFBIG), path)
        return file.read(limit) or b""
