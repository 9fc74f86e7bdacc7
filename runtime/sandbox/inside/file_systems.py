"""The file systems of disks and servers that a container mounts for itself."""

import os
from errno import ENODEV

from pybuild.runtime.kernel.detached_mounts import filesystem
from pybuild.runtime.kernel.syscalls import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME,
    mount_setattr,
)
from pybuild.runtime.records import Operation, Record
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace

_MOUNT_ATTR_NOATIME, _MOUNT_ATTR_NODIRATIME = 0x10, 0x80
_DEFAULTS = ("defaults", "suid", "dev", "nodev", "exec", "atime", "diratime", "relatime")
_OF_MOUNT = dict.fromkeys(_DEFAULTS, 0) | {
    "nosuid": MOUNT_ATTR_NOSUID,
    "noexec": MOUNT_ATTR_NOEXEC,
    "noatime": _MOUNT_ATTR_NOATIME,
    "nodiratime": _MOUNT_ATTR_NODIRATIME,
    "strictatime": MOUNT_ATTR_STRICTATIME,
}
"""Options that belong to a mount and not to its file system, which does not know them (mount(8)): the attributes."""


class FileSystem(Record):
    """A file system of a device or a server. *options* are those of mount(8), one in each item."""

    __slots__ = ("kind", "options", "read_only", "source", "target")

    def __init__(self, kind: bytes, options: tuple[bytes, ...], read_only: bool, source: bytes, target: bytes) -> None:
        self.kind, self.options, self.read_only, self.source = kind, options, read_only, source
        self.target = target

    def make(self, _scratch: ScratchSpace | None) -> int:
        """Return the detached mount."""
        with Operation(f"mount {os.fsdecode(self.kind)}", self.source):
            tree = open_file_system(self.kind, self.options, self.source)
            if self.read_only:
                mount_setattr(tree, MOUNT_ATTR_RDONLY)
            return tree

    def describe(self) -> str:
        """Return the kind of mount, for messages."""
        return os.fsdecode(self.kind)


def open_file_system(kind: bytes, options: tuple[bytes, ...], source: bytes) -> int:
    """Return a detached mount of the device or server *source*. Raises OSError with the kernel's reason.

    Device nodes on it cannot be opened, because a sandbox has no control group that says which ones it may use.
    """
    attributes, given = MOUNT_ATTR_NODEV, list[tuple[str, str | None]]()
    for option in map(os.fsdecode, options):
        name, equals, value = option.partition("=")
        if option in _OF_MOUNT:
            attributes |= _OF_MOUNT[option]
        else:
            given.append((name, value if equals else None))
    try:
        return filesystem(os.fsdecode(kind), tuple(given), attributes, os.fsdecode(source))
    except OSError as error:
        if error.errno == ENODEV:  # "no such device" would be taken for the source
            raise OSError(ENODEV, f"the kernel of this host has no file system {os.fsdecode(kind)}") from error
        raise
