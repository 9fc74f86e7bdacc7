"""The owner that a file has in the image, recorded in an extended attribute.

In isolation `single` a step has one id, so on the disk all files belong to the user who builds. The attribute goes with
the inode: it is renamed, linked, removed and copied up by overlayfs with the file. A file without the attribute belongs
to root. A device cannot be made either; it is a regular file whose record names the device.

A step may write the attribute itself, so an invalid record is no error: the file counts as one without a record.
"""

import errno
import os
import stat

ATTRIBUTE = "user.pybuild.owner"
NO_ID = 0xFFFFFFFF
"""The id that means "unchanged" to chown(2). No file can have it."""
_LONGEST = 64
_KINDS = {b"c": stat.S_IFCHR, b"b": stat.S_IFBLK}
RECORDABLE = frozenset({stat.S_IFREG, stat.S_IFDIR})
"""The types of files that have the attribute."""
SPECIAL = frozenset({stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK})
"""The types on which the kernel allows no ``user.`` attributes: a table keeps their owners (`ownership.table`)."""
DEVICES = frozenset(_KINDS.values())
"""The types that become regular files."""
_LARGEST_MAJOR, _LARGEST_MINOR = 0xFFF, 0xFFFFF  # of the kernel's dev_t: 12 and 20 bits
# No such attribute; a file system, or a type of file, that has none; a file that this user may not read.
_NONE = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.EACCES})


class _Process:
    records = False


def begin() -> None:
    """Record owners from now on, in this process and those forked from it: it has one id only."""
    _Process.records = True


def is_begun() -> bool:
    """Return whether this process records owners."""
    return _Process.records


class FileOwner:
    """The user and group of a file, and the device that it stands for: *kind* is S_IFCHR, S_IFBLK, or 0 for none."""

    __slots__ = ("device", "gid", "kind", "uid")

    def __init__(self, uid: int, gid: int, kind: int = 0, device: int = 0) -> None:
        self.uid, self.gid, self.kind, self.device = uid, gid, kind, device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileOwner) and self.pack() == other.pack()

    def __hash__(self) -> int:
        return hash(self.pack())

    def __repr__(self) -> str:
        return f"FileOwner({self.pack().decode()!r})"

    def pack(self) -> bytes:
        """Return the value of the attribute."""
        text = b"%d:%d" % (self.uid, self.gid)
        if not self.kind:
            return text
        letter = next(letter for letter, kind in _KINDS.items() if kind == self.kind)
        return b"%b:%b:%d:%d" % (text, letter, os.major(self.device), os.minor(self.device))

    def is_root(self) -> bool:
        """Return whether this equals the owner of a file without a record."""
        return (self.uid, self.gid, self.kind) == (0, 0, 0)

    def mode(self, mode: int) -> int:
        """Return the *mode* that the file has in the image, with the type of the device that it stands for."""
        return mode & ~stat.S_IFMT(mode) | self.kind if self.kind and stat.S_ISREG(mode) else mode


ROOT = FileOwner(0, 0)


def unpack(value: bytes) -> FileOwner | None:
    """Return the record in the value of an attribute, None for an invalid one."""
    fields = value.split(b":")
    if len(fields) == 2:
        numbers, kind = fields, 0
    elif len(fields) == 5:
        numbers, kind = [*fields[:2], *fields[3:]], _KINDS.get(fields[2], -1)
    else:
        return None
    if kind < 0 or not all(text.isdigit() and len(text) <= 10 for text in numbers):
        return None
    uid, gid, *device = map(int, numbers)
    if max(uid, gid) >= NO_ID or (device and (device[0] > _LARGEST_MAJOR or device[1] > _LARGEST_MINOR)):
        return None
    if kind == stat.S_IFCHR and device == [0, 0]:  # a whiteout for overlayfs, and so for the layer
        return None
    return FileOwner(uid, gid, kind, os.makedev(*device) if device else 0)


def read(place: int | str | bytes, *, follow: bool = True) -> FileOwner | None:
    """Return the record of a file or directory, None when it has none. Raises OSError when there is no such file."""
    try:
        value = os.getxattr(place, ATTRIBUTE, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise
    return unpack(value) if len(value) <= _LONGEST else None


def write(place: int | str | bytes, owner: FileOwner) -> None:
    """Record the *owner* of a file or directory, symlinks followed. For root the record is removed."""
    if not owner.is_root():
        os.setxattr(place, ATTRIBUTE, owner.pack())
        return
    try:
        os.removexattr(place, ATTRIBUTE)
    except OSError as error:
        if error.errno not in _NONE:
            raise


def visible(names: list[str]) -> list[str]:
    """Return the *names* of attributes without the attribute of the record."""
    return [name for name in names if name != ATTRIBUTE]
