"""An entry of an archive: a frozen value, for reading and for writing."""

import os
from enum import Enum
from typing import NamedTuple

BLOCK = 512
"""The size of the blocks of which headers and data of a tar archive consist."""


AS_BELOW = 0xFFFF_FFFF
"""A value of `Entry.nanoseconds`: the same as those of the directory in lower layers, whose entry this one repeats."""

_RECORD = "user.pybuild."


class EntryKind(Enum):
    """The type flag of the header."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and several times slower

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    CHAR = b"3"
    BLOCK = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


class Entry(NamedTuple):
    """An entry of an archive. It is a tuple, because a layer may have a million of them; use the names of its fields.

    *path* is relative to the root of the archive, lexically clean, without a slash at either end; "" is the root.
    *linkname* is the unchanged text of a symbolic link, or the clean path that a hard link refers to. Names are
    surrogate-escaped. *size* is that of a file with its holes; it is 0 for all other kinds.
    """

    path: str
    kind: EntryKind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    linkname: str = ""
    dev_major: int = 0
    dev_minor: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()
    nanoseconds: int = 0
    """The fraction of *mtime*, or `AS_BELOW`. Read from PAX times and never written: layers have whole seconds."""

    @property
    def mtime_ns(self) -> int:
        """The time of modification in nanoseconds."""
        return self.mtime * 1_000_000_000 + (0 if self.nanoseconds == AS_BELOW else self.nanoseconds)

    def at(self, mtime_ns: int, latest: int | None = None) -> "Entry":
        """Return the entry with another time, at most that of the second *latest*."""
        if latest is not None and mtime_ns > latest * 1_000_000_000:
            return self._replace(mtime=latest, nanoseconds=0)
        seconds, rest = divmod(mtime_ns, 1_000_000_000)
        return self._replace(mtime=seconds, nanoseconds=rest)


def clean_path(name: str) -> str:
    """Return *name* as a path below the root: ``/a``, ``./a`` and ``x/../../a`` are all ``a``; the root is "".

    Purely lexical, as Docker and containerd do before they resolve symlinks (SECURITY of archives: a name cannot
    climb).
    """
    if name and name[0] not in "/." and name[-1] != "/" and "//" not in name and "/." not in name:
        return name
    kept: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in {"", "."}:
            kept.append(part)
    return "/".join(kept)


def kept_xattr(name: str) -> bool:
    """Return whether an extended attribute belongs to the content of an image.

    File capabilities and the user's own attributes do. Labels of this host's security modules, ACLs that the store's
    parent directory hands down, and above all what overlayfs keeps for itself do not: a layer that smuggles in
    ``trusted.overlay.redirect`` would show files of other layers. Nor do the owners that `runtime.ownership` records.
    """
    if name.startswith(_RECORD):
        return False
    return name == "security.capability" or (name.startswith("user.") and not name.startswith("user.overlay."))


def portable_xattr(name: str, value: bytes) -> bytes:
    """Return *value* as an archive should have it: file capabilities without the user id of this host.

    A kernel returns revision 3 of the structure (24 bytes, of which the last 4 name the root user of a namespace) to
    processes outside of that namespace, and revision 2 (20 bytes) to those inside.
    """
    if name == "security.capability" and len(value) == 24 and value[3] == 3:
        return value[:3] + b"\x02" + value[4:20]
    return value


def path_bytes(path: str) -> bytes:
    """Return *path* as bytes."""
    return os.fsencode(path)
