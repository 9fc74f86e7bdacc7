"""Digests of selected files: of the listing, which reads no file, and of the content, which cache keys use.

The content is names, types, modes, owners, symlink targets, xattrs and data, but not times: a checkout of the same
commit on another host selects the same content. Files of the build context count as owned by root.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable

from pybuild.builder.content.source_tree import Group, Item, SourceTree
from pybuild.builder.oci.digest import Digest

FileDigest = Callable[[Item], bytes]
_KEEP_TOTAL = 48 << 20
_LINES = 1000
"""Lines of a listing that are hashed at once: one by one they take longer, all together much memory."""


class Memory:
    """How many bytes of small files may still be kept in memory for the copy that follows."""

    def __init__(self, size: int = _KEEP_TOTAL) -> None:
        self.left = size


def listing_digest(source: SourceTree, groups: Iterable[Group]) -> Digest | None:
    """Return a digest of everything but file content; equal listings have equal content.

    None when a file is on a file system whose change times cannot be trusted.

    It includes the change time, which cannot be set: every write to a file changes it.
    """
    total = hashlib.sha256()
    device = None
    for group in groups:
        lines = [f"{group.base}\0{group.is_directory}\n"]
        for item in group.items:
            st = item.stat
            if st.st_dev != device:
                device, mounted = st.st_dev, source.file_system(item)
                if mounted is None:
                    return None
                lines.append(f"{mounted}\n")
            lines.append(f"{item.name}\0{st.st_mode}\0{st.st_ino}\0{st.st_size}\0{st.st_mtime_ns}\0{st.st_ctime_ns}\n")
            if len(lines) > _LINES:
                total.update(os.fsencode("".join(lines)))
                lines.clear()
        total.update(os.fsencode("".join(lines)))
    return Digest("sha256", total.hexdigest())


def content_digest(source: SourceTree, groups: Iterable[Group], file_digest: FileDigest) -> Digest:
    """Return the digest of the content of *groups*; *file_digest* returns that of a regular file's bytes and xattrs."""
    total = hashlib.sha256()
    for group in groups:
        head = f"group\0{'' if group.is_directory else group.base}\0{group.is_directory}\0{len(group.items)}\n"
        parts = [os.fsencode(head)]
        for item in group.items:
            parts.append(_fingerprint(source, item, file_digest))
            if len(parts) > _LINES:
                total.update(b"".join(parts))
                parts.clear()
        total.update(b"".join(parts))
    return Digest("sha256", total.hexdigest())


def _fingerprint(source: SourceTree, item: Item, file_digest: FileDigest) -> bytes:
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
    head = f"{item.name}\0{mode}\0{uid}\0{gid}\0".encode("utf-8", "surrogateescape")
    return head + len(body).to_bytes(8, "big") + body
