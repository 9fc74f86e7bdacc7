"""Blobs from a registry, several at once, each verified before it has a name."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from builder.oci.blobs import BlobStore
from builder.oci.client import Client
from builder.oci.errors import RegistryError, RegistryUnavailable, SizeMismatch
from builder.oci.model import Descriptor
from builder.oci.retry import Retry

PARALLEL = 3
"""How many blobs are fetched at once: enough to fill a line, few enough for a registry not to mind."""

FetchProgress = Callable[[str, int, int], None]
"""Called with (digest, bytes so far, bytes in all), from several threads at once."""


def no_progress(_id: str, _current: int, _total: int) -> None:
    """Progress that nobody looks at."""


class Transfer:
    """One repository as a source of blobs for one store."""

    def __init__(self, client: Client, repository: str, blobs: BlobStore, progress: FetchProgress) -> None:
        self._client, self._repository = client, repository
        self._blobs, self._progress = blobs, progress
        self._stop = threading.Event()
        self._failures: list[BaseException] = []

    def run(self, descriptors: Sequence[Descriptor], retry: Retry) -> None:
        """Bring all blobs that are missing; the first failure stops the others and is raised. Used once."""
        missing = {descriptor.digest: descriptor for descriptor in descriptors if not self._blobs.has(descriptor)}
        with ThreadPoolExecutor(PARALLEL) as threads:
            try:
                wait([threads.submit(self._bring, descriptor, retry) for descriptor in missing.values()])
            finally:
                # When the wait was interrupted, the threads end at their next piece.
                self._stop.set()
        if self._failures:
            raise self._failures[0]

    def _bring(self, wanted: Descriptor, retry: Retry) -> None:
        try:
            retry.run(lambda: self._fetch(wanted), self._stop)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller of run must see it
            self._failures.append(error)
            self._stop.set()

    def _fetch(self, wanted: Descriptor) -> None:
        with (
            self._client.get(self._repository, f"blobs/{wanted.digest}") as reply,
            self._blobs.writer(wanted.digest.algorithm) as writer,
        ):
            for piece in reply.pieces():
                if self._stop.is_set():
                    raise RegistryError("given up because another part failed")
                writer.write(piece)
                if writer.size > wanted.size:
                    raise SizeMismatch(f"{wanted.digest} is longer than the {wanted.size} bytes it should have")
                self._progress(str(wanted.digest), writer.size, wanted.size)
            if writer.size < wanted.size:
                raise RegistryUnavailable(f"{wanted.digest} ended after {writer.size} of {wanted.size} bytes")
            writer.commit(wanted.digest)
