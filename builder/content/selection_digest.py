"""Digests of selected files: of the listing, which reads no file, and of the content, which cache keys use.

The content is names, types, modes, owners, symlink targets, xattrs and data, but not times: a checkout of the same
commit on another host selects the same content. Files of the build context count as owned by root.

Both are made of the digests of *stretches*, runs of entries of one directory. A stretch ends after a name that the hash
of the name chooses, so that a file that is added or removed does not move the other boundaries. After a change, the
content of all other stretches is found by one lookup for each.
"""

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from pybuild.builder.content.source_tree import Group, Item, SourceTree
from pybuild.builder.oci.digest import Digest

FileDigest = Callable[[Item], bytes]
_KEEP_TOTAL = 48 << 20
_LENGTH = 64
"""The average length of a stretch, in entries."""
_STATUS = struct.Struct("<IQqqq").pack


class Memory:
    """How many bytes of small files may still be kept in memory for the copy that follows."""

    def __init__(self, size: int = _KEEP_TOTAL) -> None:
        self.left = size


class Stretch(NamedTuple):
    """Entries of one directory that follow one another: the items of a group from *start* to *end*.

    *directory* is relative to the destination. *listing* is a digest of the names and statuses in it, empty when change
    times cannot be trusted.
    """

    directory: str
    start: int
    end: int
    listing: bytes = b""


def divide(source: SourceTree, groups: Iterable[Group]) -> list[list[Stretch]]:
    """Return the stretches of each group, with their listings when *source* has an identity."""
    return [
        [run._replace(listing=_listing(source, run, group.items)) if source.id else run for run in _runs(group.items)]
        for group in groups
    ]


def _runs(items: Sequence[Item]) -> Iterator[Stretch]:
    """Divide *items* where the directory changes, and after each name whose hash is a multiple of `_LENGTH`.

    A directory that was selected, which has no name, is a stretch of its own.
    """
    directory, start, at = "", 0, 0
    for at, item in enumerate(items):
        above, _, name = item.name.rpartition("/")
        if above != directory:
            if at > start:
                yield Stretch(directory, start, at)
            directory, start = above, at
        # Not hash(), which differs between processes: the boundaries are part of the digest of the content.
        if crc32(name.encode("utf-8", "surrogateescape")) % _LENGTH == 0 or not name:
            yield Stretch(directory, start, at + 1)
            start = at + 1
    if start < len(items):
        yield Stretch(directory, start, len(items))


def _listing(source: SourceTree, run: Stretch, items: Sequence[Item]) -> bytes:
    """Return the digest of names and statuses; b"" when a file system keeps no change times.

    The change time, which cannot be set, is one of them: every write to a file changes it.
    """
    chosen = items[run.start : run.end]
    mounted = [source.file_system(chosen[0])]
    if len({item.stat.st_dev for item in chosen}) > 1:
        mounted = [source.file_system(item) for item in chosen]
    systems = [name for name in mounted if name is not None]
    if len(systems) < len(mounted):
        return b""
    name_at = len(run.directory) + 1 if run.directory else 0
    head = "\0".join([str(len(systems)), *systems, *[item.name[name_at:] for item in chosen], ""])
    # Numbers as text take three times as long.
    statuses = [
        _STATUS((st := item.stat).st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns) for item in chosen
    ]
    return hashlib.sha256(os.fsencode(head) + b"".join(statuses)).digest()


def listing_digest(groups: Iterable[Group], divided: Iterable[list[Stretch]]) -> Digest | None:
    """Return a digest of everything but file content; equal listings have equal content.

    None when a file is on a file system whose change times cannot be trusted.
    """
    total = hashlib.sha256()
    for group, stretches in zip(groups, divided, strict=True):
        total.update(os.fsencode(f"{group.base}\0{group.is_directory}\0{len(stretches)}\n"))
        if not all(stretch.listing for stretch in stretches):
            return None
        total.update(b"".join([os.fsencode(f"{each.directory}\0") + each.listing for each in stretches]))
    return Digest("sha256", total.hexdigest())


def content_digest(
    groups: Iterable[Group], divided: Iterable[list[Stretch]], content_of: Callable[[Sequence[Item], Stretch], bytes]
) -> Digest:
    """Return the digest of the content of *groups*; *content_of* returns that of a stretch, as `stretch_content`."""
    total = hashlib.sha256()
    for group, stretches in zip(groups, divided, strict=True):
        base = "" if group.is_directory else group.base
        total.update(os.fsencode(f"group\0{base}\0{group.is_directory}\0{len(stretches)}\n"))
        for stretch in stretches:
            total.update(os.fsencode(f"{stretch.directory}\0") + content_of(group.items, stretch))
    return Digest("sha256", total.hexdigest())


def stretch_content(source: SourceTree, items: Sequence[Item], stretch: Stretch, file_digest: FileDigest) -> bytes:
    """Return the digest of a stretch; *file_digest* returns that of a regular file's bytes and xattrs."""
    name_at = len(stretch.directory) + 1 if stretch.directory else 0
    parts = [_fingerprint(source, item, name_at, file_digest) for item in items[stretch.start : stretch.end]]
    return hashlib.sha256(b"".join(parts)).digest()


def _fingerprint(source: SourceTree, item: Item, name_at: int, file_digest: FileDigest) -> bytes:
    if source.owned_by_root and item.name == "":
        # The mode of a copied directory of the context is not used: see `execute.copy`.
        return b"\0folder\0"
    st = item.stat
    mode = st.st_mode
    # Not by `SourceTree.owner`: a context may have a hundred thousand files, all of root.
    uid, gid = (0, 0) if source.owned_by_root else (st.st_uid, st.st_gid)
    if stat.S_ISREG(mode):
        body = file_digest(item)
    elif stat.S_ISLNK(mode):
        body = os.fsencode(source.root.readlink(item.path) or "")
    else:
        body = str(st.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0).encode()
    head = f"{item.name[name_at:]}\0{mode}\0{uid}\0{gid}\0".encode("utf-8", "surrogateescape")
    return head + len(body).to_bytes(8, "big") + body
