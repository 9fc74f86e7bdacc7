"""Images into an OCI image layout in a directory of the user."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import reachable
from pybuild.builder.oci.layout import Layout
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.free_space import writing


@contextmanager
def added_to(dest: Path) -> Iterator[tuple[BlobStore, Layout]]:
    """Open the layout in *dest* for adding to it, making it when it is not there.

    Raises:
        RequestError: a part of it is a symlink, through which another file would be written.
    """
    with writing(dest):
        dest.mkdir(parents=True, exist_ok=True)
        _refuse_links(dest)
        yield BlobStore(dest), Layout(dest, exported=True)
    with suppress(OSError):  # ENOTEMPTY: another build writes to the same directory
        (dest / "tmp").rmdir()


def write_layout(blobs: BlobStore, descriptor: Descriptor, names: tuple[str, ...], dest: Path) -> None:
    """Add the image, or an index with all its images, to the layout in *dest*.

    It is listed when it is complete. Raises as `added_to` does.
    """
    with added_to(dest) as (there, layout):
        # What a document names comes before it, so that an interrupted output has no incomplete image.
        for blob in reversed(reachable(blobs, descriptor)):
            if not there.has(blob):
                with blobs.open(blob) as content:
                    there.put_stream(content, blob, blob.media_type)
        for name in names or ("",):
            layout.name(name, descriptor)


def _refuse_links(dest: Path) -> None:
    """Check every name below *dest* that is written to by its path."""
    parts = [dest / name for name in ("oci-layout", "index.json", ".index.json.new", "tmp", "blobs")]
    for part in (*parts, *dest.glob("blobs/*")):
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(part.lstat().st_mode):
                raise RequestError(f"{part}: is a symlink; images are written to real files and directories only")
