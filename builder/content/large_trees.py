"""Keeping the items of a large tree in less memory."""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from pybuild.builder.content.source_tree import Item

_OWN = struct.Struct("<QQqq")
"""What entries seldom have in common: inode, size, and the times of the content and of the status in nanoseconds."""


class _Common(NamedTuple):
    """What many entries have in common. *above* is what comes before the name of one in its path."""

    above: str
    mode: int
    device: int
    links: int
    uid: int
    gid: int
    special: int


class _LeanItem(Item):
    """An item whose path and status are made when they are asked for: 150 bytes with them, and not 500.

    The status has neither access times nor times in seconds, which no copy has.
    """

    __slots__ = ("_common", "_own")

    def __init__(self, item: Item, common: _Common, own: bytes) -> None:
        self.name, self.data, self.xattrs = item.name, item.data, item.xattrs
        self._common, self._own = common, own

    @property
    def path(self) -> str:  # type: ignore[override]
        return self._common.above + self.name

    @property
    def stat(self) -> os.stat_result:  # type: ignore[override]
        _, mode, device, links, uid, gid, special = self._common
        inode, size, changed, status_changed = _OWN.unpack(self._own)
        times = {"st_mtime_ns": changed, "st_ctime_ns": status_changed, "st_rdev": special}
        return os.stat_result((mode, inode, device, links, uid, gid, size, 0, 0, 0), times)


def lean(items: Iterator[Item]) -> Iterator[Item]:
    """Yield *items*, whose paths end with their names, in less memory.

    It takes two microseconds each, and one more whenever a status is looked at.
    """
    known: dict[_Common, _Common] = {}
    for item in items:
        st = item.stat
        above = item.path.removesuffix(item.name)
        common = _Common(above, st.st_mode, st.st_dev, st.st_nlink, st.st_uid, st.st_gid, st.st_rdev)
        own = _OWN.pack(st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
        yield _LeanItem(item, known.setdefault(common, common), own)


def emptied(items: list[Item]) -> Iterator[Item]:
    """Yield the elements of *items* in their order, and remove each before the next one."""
    items.reverse()
    while items:
        yield items.pop()
