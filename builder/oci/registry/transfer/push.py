"""Uploading an image: blobs first, then documents from the lowest up, the tag last.

So a document in the registry never names something that is missing, wherever a push is interrupted.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.image import reachable
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.transfer.documents import put_document
from pybuild.builder.oci.registry.transfer.parallel import Stop, run_all
from pybuild.builder.oci.registry.transfer.referrers import note_referrer
from pybuild.builder.oci.registry.transfer.remote import Remote, TransferProgress, no_progress
from pybuild.builder.oci.registry.transfer.upload import Upload

_DOCUMENTS = media.INDEXES | media.MANIFESTS
_LOST_CODES = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_ROUNDS = 3
"""How often blobs are checked again when the registry reports missing ones."""


def _ignore_result(_blob: Descriptor, _outcome: str) -> None:
    """Ignore the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """Hints for a push, and its callbacks."""

    sources: Mapping[Digest, Sequence[str]] = field(default_factory=dict)
    """Repositories of the same registry that may have a blob already."""
    progress: TransferProgress = no_progress
    ended: Callable[[Descriptor, str], None] = _ignore_result
    """Called once for each blob with its result, from several threads, one at a time."""
    stop: threading.Event | None = None


def push_image(
    remote: Remote, descriptor: Descriptor, tags: Sequence[str], blobs: BlobStore, options: PushOptions
) -> None:
    """Upload *descriptor* and everything below it; without *tags* it can only be found by its digest."""
    items = reachable(blobs, descriptor)
    content = [item for item in items if item.media_type not in _DOCUMENTS and not _foreign(item, blobs)]
    # The list has a document before what it names; reversed, the registry gets the parts before the whole.
    documents = [item for item in reversed(items) if item.media_type in _DOCUMENTS and item != descriptor]
    ended = _Once(options.ended)
    for item in content:
        options.progress(str(item.digest), 0, item.size)
    for last in (False,) * (_ROUNDS - 1) + (True,):
        _push_blobs(remote, content, blobs, options, ended)
        try:
            for item in documents:
                _put(remote, str(item.digest), item, blobs)
            for target in tags or (str(descriptor.digest),):
                _put(remote, target, descriptor, blobs)
        except RegistryError as error:
            # The registry removed something that it had a moment ago, so everything is checked again.
            if last or error.code not in _LOST_CODES:
                raise
        else:
            return


def _push_blobs(
    remote: Remote, content: Sequence[Descriptor], blobs: BlobStore, options: PushOptions, ended: "_Once"
) -> None:
    stop = Stop(options.stop)

    def send(item: Descriptor) -> None:
        sources = [source for source in options.sources.get(item.digest, ()) if source != remote.repository]
        upload = Upload(remote, item, blobs, sources=sources, progress=options.progress)
        ended.tell(item, upload.run(stop))

    run_all([partial(send, item) for item in content], stop)


def _put(remote: Remote, target: str, descriptor: Descriptor, blobs: BlobStore) -> None:
    answer = put_document(remote, target, descriptor, blobs.read(descriptor))
    if descriptor.media_type in media.MANIFESTS:
        note_referrer(remote, descriptor, blobs, answer)


def _foreign(item: Descriptor, blobs: BlobStore) -> bool:
    """Return whether a layer must not be distributed; its manifest has the URLs where its owner offers it."""
    marked = "nondistributable" in item.media_type or ".foreign." in item.media_type
    return marked and bool(item.urls) and not blobs.has(item)


class _Once:
    """Reports each blob once, one after another."""

    def __init__(self, ended: Callable[[Descriptor, str], None]) -> None:
        self._ended = ended
        self._told: set[Digest] = set()
        self._lock = threading.Lock()

    def tell(self, item: Descriptor, outcome: str) -> None:
        with self._lock:
            if item.digest not in self._told:
                self._told.add(item.digest)
                self._ended(item, outcome)
