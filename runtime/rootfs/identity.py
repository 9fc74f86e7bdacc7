"""The ids of a process and of the owner of a copied file, by the rules of Docker and the user database of a root.

The sandbox child looks up the ids of a process, `runtime.rootfs.users` owners. The files belong to the image and are
untrusted: they are not read by the C library's name service, and whatever their lines are, they take no more memory
than their size. The host's user database is not used.

A number is always an id, never a name. Missing fields of a line are empty, as in Docker. Lines without a name, or with
an id that is not a number in range, are ignored.
"""

import os
from errno import EFBIG, EINVAL, ENOENT
from io import BytesIO
from stat import S_ISREG

from pybuild.runtime.errors import UnknownUser
from pybuild.runtime.paths.in_root import open_inside
from pybuild.runtime.records import Operation

FILE_LIMIT = 10 << 20
"""The longest file that is read, in bytes, as in BuildKit."""
MAX_ID = (1 << 32) - 2
"""The highest uid and gid. The next one is -1, by which chown(2) leaves an id as it is."""


class Identity:
    """The ids of a process and the home directory of its user; *groups* are all its groups, the primary one first."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...], home: bytes) -> None:
        self.uid, self.gid, self.groups, self.home = uid, gid, groups, home


class PasswdLine:
    """One line of a passwd file."""

    __slots__ = ("gid", "home", "name", "uid")

    def __init__(self, name: bytes, uid: int, gid: int, home: bytes) -> None:
        self.name, self.uid, self.gid, self.home = name, uid, gid, home


def resolve_identity(root: int, user: bytes, more: tuple[bytes, ...] = ()) -> Identity:
    """Return the ids for *user*, ``name|uid[:name|gid]`` or b"" for root, with the additional groups *more*.

    Raises SandboxError for an unknown name, or a number out of range. A number need not be in the files.
    """
    name, _, group = user.partition(b":")
    with Operation("read users", b"/etc/passwd"):
        passwd = read_bounded(root, b"etc/passwd", FILE_LIMIT)
    with Operation("read groups", b"/etc/group"):
        groups = read_bounded(root, b"etc/group", FILE_LIMIT)
    try:
        found = match_identity(name, group, passwd, groups)
        joined = (*found.groups, *(find_group(each, groups) for each in more))
        return Identity(found.uid, found.gid, tuple(dict.fromkeys(joined)), found.home)
    except UnknownUser as error:
        raise Operation(f"find {error.kind}", error.name).failed(ENOENT, error.reason) from None


def match_identity(user: bytes, group: bytes, passwd: bytes, groups: bytes) -> Identity:
    """Return the ids of *user* and *group* according to the contents of the two files. Raises UnknownUser.

    A user in the files has its primary group, its home, and the groups that it is a member of. A number that is not in
    the files has group 0 and the home "/".
    """
    found = find_user(user or b"0", passwd)
    if group:
        # An explicit group replaces the user's own and drops the supplementary ones.
        primary = find_group(group, groups)
        return Identity(found.uid, primary, (primary,), found.home or b"/")
    members = _memberships(found.name, found.gid, groups) if found.name else []
    return Identity(found.uid, found.gid, (found.gid, *members), found.home or b"/")


def find_user(user: bytes, passwd: bytes) -> PasswdLine:
    """Return the first line for a name or number; for a number without a line, one with an empty name.

    Raises UnknownUser for a name without a line.
    """
    number = number_of("user", user)
    for line in BytesIO(passwd):
        fields = _fields(line)
        uid, gid = _id(fields[2]), _id(fields[3] or b"0")
        wanted = fields[0] == user if number is None else uid == number
        if wanted and fields[0] and uid is not None and gid is not None:
            return PasswdLine(fields[0], uid, gid, fields[5])
    if number is None:
        raise UnknownUser("user", user, "no matching entries in passwd file")
    return PasswdLine(b"", number, 0, b"")


def find_group(group: bytes, groups: bytes) -> int:
    """Return the id for a name or number. Raises UnknownUser."""
    number = number_of("group", group)
    if number is not None:
        return number
    for line in BytesIO(groups):
        fields = _fields(line)
        gid = _id(fields[2])
        if fields[0] == group and gid is not None:
            return gid
    raise UnknownUser("group", group, "no matching entries in group file")


def number_of(kind: str, text: bytes) -> int | None:
    """Return *text* as an id, None if it is a name. Raises UnknownUser for a number out of range."""
    # As for strconv.Atoi, by which Docker decides, a sign makes no name of a number.
    digits = text[1:] if text[:1] in {b"-", b"+"} else text
    if not digits.isdigit():
        return None
    found = None if text[:1] == b"-" else _id(digits)
    if found is None:
        raise UnknownUser(kind, text, f"the id is out of range, which ends at {MAX_ID}")
    return found


def _memberships(name: bytes, primary: int, groups: bytes) -> list[int]:
    found: dict[int, None] = {}
    for line in BytesIO(groups):
        fields = _fields(line)
        gid = _id(fields[2])
        if gid is not None and gid != primary and name in fields[3].split(b","):
            found[gid] = None
    return [*found]


def _fields(line: bytes) -> list[bytes]:
    """Return the seven fields of a line, all empty for a comment."""
    fields = line.strip().split(b":", 7)
    return [b""] * 7 if line.startswith(b"#") else [*fields, *[b""] * 7][:7]


def _id(text: bytes) -> int | None:
    # 10 digits are enough for 32 bits; longer ones would only keep int() busy.
    return int(text) if text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID else None


def read_bounded(root: int, path: bytes, limit: int) -> bytes:
    """Return the content of a regular file inside *root*, b"" when there is none.

    One that cannot be trusted is an error: a process that got too few groups could do more than it should, because a
    group can also be denied something.
    """
    # Without waiting for a FIFO, or taking a terminal, that an image may have there.
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
