"""Layers on their way into snapshots; apart from the store because a build that finds everything unpacks nothing."""

import os
from collections.abc import Sequence
from typing import BinaryIO

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layers.unpack import unpack
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat, Snapshotter


class Unpacking:
    """A snapshot, not committed yet, that a layer is unpacked into."""

    def __init__(self, snapshots: Snapshotter, active: Active, parent: str | None) -> None:
        self.active = active
        self._snapshots, self._parent = snapshots, parent

    def layer(self, stream: BinaryIO, diff_id: Digest | None, nanoseconds: Sequence[int]) -> None:
        """Unpack a layer, once. Raises what `builder.oci.layers.unpack.unpack` raises."""
        overlay = self.active.format is DiskFormat.OVERLAY
        folder_fd = os.open(self.active.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with Root(folder_fd) as folder, Root(self._snapshots.open(self._parent)) as lower:
            unpack(stream, folder.fd, overlay=overlay, diff_id=diff_id, lower=lower, nanoseconds=nanoseconds)
