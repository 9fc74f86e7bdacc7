"""A checkout of a git repository as a layer; metadata that git does not store (owner, time, mode) is uniform."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pybuild.builder.content.selections import select
from pybuild.builder.content.source_tree import Item, SourceTree
from pybuild.builder.errors import BuildError
from pybuild.builder.execute.job import Work
from pybuild.builder.oci.layers.layer import Layer, LayerWriter, check_name
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.plan.ops import Git, Pick
from pybuild.builder.sources.checkout import Checkout
from pybuild.builder.sources.git import GitProgram as Program
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.paths.scratch import scratch
from pybuild.runtime.paths.walk import open_beneath


def add_checkout(op: Git, work: Work) -> Layer:
    """Check out the commit of *op* and write its files as a layer.

    They are owned by root, have the mode 0644 or 0755, and the time of the commit.

    Raises:
        BuildError: the commit cannot be fetched, or the requested directory does not exist.
    """
    program = Program(work.host, op.url, work.cancel.is_set)
    with scratch("git-", work.store.root / "tmp") as place:
        directory, seconds = Checkout(op, program, place).run()
        with _open_subdir(directory, op) as root, work.writer() as layer:
            _Writer(layer=layer, root=root, mtime=seconds).run()
            return layer.commit()


def _open_subdir(directory: Path, op: Git) -> Root:
    """Open the requested directory of the repository; no component may be a symlink (SECURITY C03)."""
    with Root.open_host(directory) as top:
        try:
            return Root(open_beneath(top.fd, op.subdir))
        except (OSError, UnsafePathError) as error:
            raise BuildError(f'subdir "{op.subdir}" of {op.url} is not a directory of the repository') from error


@dataclass(slots=True, kw_only=True)
class _Writer:
    layer: LayerWriter
    root: Root
    mtime: int

    def run(self) -> None:
        """Write all files, directories before their entries."""
        for group in select(SourceTree(root=self.root), Pick(path="/", input=0)):
            for item in group.items[1:]:
                check_name(item.name)
                self._write(item)

    def _write(self, item: Item) -> None:
        mode = item.stat.st_mode
        if stat.S_ISDIR(mode):
            self.layer.add(Entry(path=item.name, kind=EntryKind.DIRECTORY, mode=0o755, mtime=self.mtime))
        elif stat.S_ISLNK(mode):
            link = self.root.readlink(item.path) or ""
            self.layer.add(Entry(path=item.name, kind=EntryKind.SYMLINK, mode=0o777, mtime=self.mtime, linkname=link))
        elif stat.S_ISREG(mode):
            handle = self.root.open_file(item.path)
            try:
                entry = Entry(
                    path=item.name,
                    kind=EntryKind.FILE,
                    mode=0o755 if mode & 0o100 else 0o644,
                    size=item.stat.st_size,
                    mtime=self.mtime,
                )
                self.layer.add(entry, handle)
            finally:
                os.close(handle)
