"""Loading images from an archive, or a directory with the same content, into the store."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pybuild.builder.oci.archive.load import Loaded, load, load_files
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.model import Platform
from pybuild.builder.oci.stored_index import choose_present
from pybuild.builder.oci.streams.reading import Readable
from pybuild.builder.store.store import Store
from pybuild.builder.transports.files import open_source
from pybuild.grammar.reference import InvalidReference, parse_reference


def load_images(store: Store, source: Path | Readable, platform: Platform | None = None) -> Iterator[tuple[str, ...]]:
    """Store the images of *source*; of multi-platform images only that for *platform*, if given.

    Everything is verified before the first image is named. Yields the full names of each image, or its ID when the
    archive has no name for it. The caller must exhaust the iterator.

    Raises:
        RequestError: there is no such file.
        OciError: see `builder.oci.archive.load.load`.
    """
    images = _load(store, source)
    if platform is not None:
        images = tuple(_only(store, image, platform) for image in images)
    for image in images:
        yield _give_names(store, image)


def _load(store: Store, source: Path | Readable) -> tuple[Loaded, ...]:
    if not isinstance(source, Path):
        return load(store.blobs, source)
    if source.is_dir():
        from pybuild.builder.oci.archive.directory_entries import directory_entries
        from pybuild.builder.oci.archive.files import take_entries
        from pybuild.runtime.paths.safepath import Root

        with Root.open_host(source) as root:
            return load_files(store.blobs, take_entries(store.blobs, directory_entries(root.fd)))
    with open_source(source) as stream:
        return load(store.blobs, stream)


def _only(store: Store, image: Loaded, platform: Platform) -> Loaded:
    return replace(image, descriptor=read_image(store.blobs, image.descriptor, platform).descriptor)


def _give_names(store: Store, image: Loaded) -> tuple[str, ...]:
    names = tuple(name for name in map(_full, image.names) if name)
    for name in names:
        store.layout.tag(name, image.descriptor)
    if names:
        return names
    store.layout.keep(image.descriptor)
    try:
        return (str(read_image(store.blobs, choose_present(store.blobs, image.descriptor)).id),)
    except OciError:  # an index without any image
        return (str(image.descriptor.digest),)


def _full(text: str) -> str:
    """Return the full form of a name in the archive, "" for an invalid one."""
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return ""
    return "" if reference.digest is not None else str(reference)
