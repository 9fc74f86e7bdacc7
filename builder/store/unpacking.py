"""Unpacking layers into snapshots; a module of its own, because a build from the cache unpacks nothing."""

import os
from collections.abc import Sequence
from typing import BinaryIO

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.layers.unpack import unpack
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat, Snapshotter


class Unpacking:
    """An active snapshot that a layer is unpacked into."""

    def __init__(self, snapshots: Snapshotter, active: Active, parent: str | None) -> None:
        self.active = active
        self._snapshots, self._parent = snapshots, parent

    def layer(self, stream: BinaryIO, diff_id: Digest | None, nanoseconds: Sequence[int]) -> None:
        """Unpack one layer. Raises like `builder.oci.layers.unpack.unpack`."""
        overlay = self.active.format is DiskFormat.OVERLAY
        directory_fd = os.open(self.active.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with Root(directory_fd) as directory, Root(self._snapshots.open(self._parent)) as lower:
            unpack(stream, directory.fd, overlay=overlay, diff_id=diff_id, lower=lower, nanoseconds=nanoseconds)
