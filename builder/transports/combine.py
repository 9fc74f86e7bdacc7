"""An index of images from several places."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import children, reachable, read_image
from pybuild.builder.oci.model import Descriptor, Index
from pybuild.builder.oci.stored_index import whole_or_present
from pybuild.builder.store.store import Store
from pybuild.builder.transports.entries import entry_of, with_entries
from pybuild.builder.transports.places import Place
from pybuild.builder.transports.source import Choice, ImageSource, ReadOptions, copy_blobs, open_source


@contextmanager
def open_index(begun: Index, members: Sequence[Place], reading: ReadOptions) -> Iterator[ImageSource]:
    """Open the index *begun* with the images of *members* added; a member that is an index adds all its images.

    Raises:
        RequestError: two of them are for one platform.
        PullFailed, OciError: a member cannot be read.
    """
    with ExitStack() as opened:
        sources = [opened.enter_context(open_source(place, Choice(everything=True), reading)) for place in members]
        entries = [entry for source in sources for entry in _entries(source)]
        index = with_entries(begun, entries)
        yield _combine(reading.store, index, sources)


def _entries(source: ImageSource) -> Sequence[Descriptor]:
    found = whole_or_present(source.blobs, source.descriptor)
    if found.media_type in media.INDEXES:
        return children(source.blobs, found)
    return [entry_of(found, read_image(source.blobs, found).config)]


def _combine(store: Store, index: Index, sources: Sequence[ImageSource]) -> ImageSource:
    owners: dict[Digest, ImageSource] = {}
    for source in sources:
        for entry in _entries(source):
            owners.update({item.digest: source for item in reachable(source.blobs, entry)})
    blobs = _Blobs(store.root, owners)

    def fetch(items: Sequence[Descriptor], into: BlobStore) -> None:
        for source in sources:
            source.fetch([item for item in items if owners.get(item.digest) is source], into)
        copy_blobs(blobs, [item for item in items if item.digest not in owners], into)

    def origin(digest: Digest) -> tuple[str, str]:
        return owners[digest].origin(digest) if digest in owners else ("", "")

    descriptor = store.blobs.put(index.to_json(), index.media_type)
    return ImageSource(descriptor=descriptor, blobs=blobs, fetch=fetch, origin=origin)


class _Blobs(BlobStore):
    """The blobs of the store and of each of *owners*."""

    def __init__(self, root: Path, owners: Mapping[Digest, ImageSource]) -> None:
        super().__init__(root)
        self._owners = owners

    def open(self, blob: Descriptor | Digest) -> BinaryIO:
        """Open a blob in the place that has it."""
        owner = self._owners.get(blob.digest if isinstance(blob, Descriptor) else blob)
        if owner is None or (isinstance(blob, Descriptor) and self.has(blob)):
            return super().open(blob)
        return owner.blobs.open(blob)
