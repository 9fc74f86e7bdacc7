"""Downloading blobs, several at once; each is verified before it gets its name.

An interrupted download is resumed by the next attempt, from the next mirror, or in the next process: the name of a blob
is its digest, so all answers are parts of the same bytes, and wrong ones are detected at the end.
"""

from collections.abc import Sequence
from functools import partial

from pybuild.builder.oci.blob_writer import BlobWriter
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import DigestMismatch, RegistryUnavailable, SizeMismatch
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.partial_blobs import resumed
from pybuild.builder.oci.registry.transfer.parallel import Stop, run_all
from pybuild.builder.oci.registry.transfer.remote import Remote, TransferProgress, first_good
from pybuild.builder.oci.registry.wire.http import Reply

PROGRESS = 64 * 1024
"""Bytes that count as progress, after which the retries are counted from zero again."""

_WHOLE = frozenset({200})
_PARTS = frozenset({200, 206, 416})


def fetch_blobs(
    remotes: Sequence[Remote],
    descriptors: Sequence[Descriptor],
    blobs: BlobStore,
    progress: TransferProgress,
    stop: Stop,
) -> None:
    """Fetch all missing blobs; the first failure stops the others and is raised."""
    missing = {descriptor.digest: descriptor for descriptor in descriptors if not blobs.has(descriptor)}
    for wanted in missing.values():
        # All are reported before the first byte, so that a display knows the total from the start.
        progress(str(wanted.digest), 0, wanted.size)
    downloads = [_Download(wanted, blobs, progress, stop) for wanted in missing.values()]
    run_all([partial(first_good, remotes, download.run) for download in downloads], stop)


class _Download:
    """The download of one blob."""

    def __init__(self, wanted: Descriptor, blobs: BlobStore, progress: TransferProgress, stop: Stop) -> None:
        self._wanted, self._blobs = wanted, blobs
        self._progress, self._stop = progress, stop

    def run(self, remote: Remote) -> None:
        """Fetch the blob from *remote*, in as many answers as needed."""
        with resumed(self._blobs, self._wanted.digest) as writer:
            attempts = remote.retry.begin(self._stop.event)
            farthest = writer.size
            while True:
                self._stop.check()
                try:
                    with remote.lanes.one():
                        self._attempt(remote, writer)
                except RegistryUnavailable as error:
                    if writer.size >= farthest + PROGRESS:
                        attempts.renew()
                        farthest = writer.size
                    attempts.wait(error)
                except (DigestMismatch, SizeMismatch):
                    writer.discard()
                    raise
                else:
                    return

    def _attempt(self, remote: Remote, writer: BlobWriter) -> None:
        wanted = self._wanted
        if writer.size > wanted.size:
            writer.rewind()
        begun = writer.size
        if begun < wanted.size or not wanted.size:
            self._receive(remote, writer)
        try:
            writer.commit(wanted.digest)
        except DigestMismatch as error:
            if not begun:
                raise
            # One of several answers, or a partial file damaged by a crash, may be wrong: fetch it once more as a whole.
            writer.rewind()
            raise RegistryUnavailable(f"{error}; it came in several parts") from error

    def _receive(self, remote: Remote, writer: BlobWriter) -> None:
        wanted, begun = self._wanted, writer.size
        headers = {"Range": f"bytes={begun}-"} if begun else {}
        expected = _PARTS if begun else _WHOLE
        with remote.get(f"blobs/{wanted.digest}", headers=headers, expected=expected) as reply:
            self._set_offset(reply, writer)
            for piece in reply.pieces():
                self._stop.check()
                if writer.size + len(piece) > wanted.size:
                    raise SizeMismatch(f"{wanted.digest} is longer than the {wanted.size} bytes it should have")
                writer.write(piece)
                self._progress(str(wanted.digest), writer.size, wanted.size)
        if writer.size < wanted.size:
            raise RegistryUnavailable(f"{wanted.digest} ended after {writer.size} of {wanted.size} bytes")

    def _set_offset(self, reply: Reply, writer: BlobWriter) -> None:
        """Set the writer to the offset where the answer begins."""
        if reply.status == 200:
            if writer.size:
                writer.rewind()
        elif reply.status == 416 or not _begins_at(reply, writer.size):
            writer.rewind()
            raise RegistryUnavailable(f"{reply.origin} does not have the rest of {self._wanted.digest}")


def _begins_at(reply: Reply, offset: int) -> bool:
    unit, _, rest = reply.headers.get("Content-Range", "").partition(" ")
    return unit.lower() == "bytes" and rest.partition("-")[0].strip() == str(offset)
