"""Images in files: OCI layouts and archives."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.archive.blobs import take_blobs
from pybuild.builder.oci.archive.load import Loaded, load
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.layout import INDEX_LIMIT, names_of, read_index
from pybuild.builder.oci.model import Descriptor, Index
from pybuild.builder.store.store import Store
from pybuild.builder.transports.places import InArchive, InDirectory
from pybuild.grammar.reference import InvalidReference, parse_reference
from pybuild.runtime.errors import kernel_reason


def copying_directory(store: Store) -> Path:
    """Return the directory of the store for blobs in transit; garbage collection empties it."""
    directory = store.root / "copying"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


@contextmanager
def archive_blobs(store: Store, into: BlobStore | None) -> Iterator[BlobStore]:
    """Yield the blob store that an archive is extracted to: *into*, else a temporary one."""
    if into is not None:
        yield into
        return
    with tempfile.TemporaryDirectory(prefix="archive-", dir=copying_directory(store)) as directory:
        yield BlobStore(Path(directory))


def open_source(path: Path) -> BinaryIO:
    """Open the file that a user named. Raises RequestError when there is none, or a directory."""
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise RequestError(f"open {path}: {kernel_reason(error)}") from error


def in_directory(place: InDirectory) -> Descriptor:
    """Return the descriptor that the place names. Raises RequestError, or InvalidImage when it is not a layout."""
    raw = read_index(place.path)
    if raw is None:
        raise RequestError(f"{place.path}: is not an OCI layout: it has no index.json")
    index = Index.from_json(raw, f"{place.path}/index.json", limit=INDEX_LIMIT)
    return pick(index.manifests, place.name, str(place.path))


def extract_archive(place: InArchive, blobs: BlobStore) -> Descriptor:
    """Extract an archive into *blobs* and return the descriptor that the place names.

    Raises:
        RequestError: it has no such image.
        OciError: it is not an image archive, or is damaged.
    """
    with open_source(place.path) as stream:
        if not place.docker:
            return pick(take_blobs(blobs, stream).manifests, place.name, str(place.path))
        return _pick_loaded(load(blobs, stream), place)


def _pick_loaded(images: tuple[Loaded, ...], place: InArchive) -> Descriptor:
    named = [image for image in images if not place.name or place.name in map(_full, image.names)]
    if len(named) == 1:
        return named[0].descriptor
    names = ", ".join([name for image in images for name in image.names][:20])
    hint = f"it has {names}" if names else ""
    if named:
        raise RequestError(f"{place.path} has several images: add a colon and the name of one", hint=hint)
    raise RequestError(f"{place.path} has no image {place.name}", hint=hint)


def _full(name: str) -> str:
    try:
        return str(parse_reference(name))
    except InvalidReference:
        return name


def pick(entries: Sequence[Descriptor], name: str, where: str) -> Descriptor:
    """Return the entry called *name*, or the only image; without annotations, which belong to the index.

    Tools disagree about names: some write a full one, some the tag alone, some both in two annotations.

    Raises:
        RequestError: there is none, or more than one.
    """
    named = [entry for entry in entries if name in names_of(entry)] if name else list(entries)
    images = {entry.digest: entry for entry in named}
    if len(images) == 1:
        (found,) = images.values()
        return replace(found, annotations={})
    names = ", ".join(sorted({known for entry in entries for known in names_of(entry)})[:20])
    hint = f"it has {names}" if names else ""
    if not images:
        raise RequestError(f"{where} has no image {name!r}" if name else f"{where} has no image", hint=hint)
    raise RequestError(f"{where} has several images: add a colon and the name of one", hint=hint)
