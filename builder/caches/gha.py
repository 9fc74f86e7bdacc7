"""``type=gha``: a cache in the cache service of GitHub Actions.

The document is an entry ``pybuild-index-<scope>-1-<branch>#<number>``; entries are never changed, so the highest number
counts. Each layer is an entry ``pybuild-blob-1-<digest>``. An entry belongs to a branch. A job sees the entries of its
own branch and of the branches that this one came from, which its token lists, so the document of each is looked up.
"""

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pybuild.builder.caches.document import DOCUMENT_LIMIT, Remembered
from pybuild.builder.caches.gha_service import AlreadyThere, Content, FoundEntry, Service, ServiceV1, ServiceV2, Wire
from pybuild.builder.caches.places import GhaCache, Status, Tell, ignore_progress, telling
from pybuild.builder.oci.errors import ImageNotFound, OciError, SizeMismatch
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.wire.retry import Retry
from pybuild.builder.options import is_true
from pybuild.builder.store.free_space import in_temporary
from pybuild.builder.store.store import Store
from pybuild.runtime import stopping

_AT_ONCE = 4
_WRITE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccess:
    """The URL of the service and the credentials of the job."""

    version: int
    url: str
    token: str = field(repr=False)


def access_of(spec: GhaCache, env: Mapping[str, str] = os.environ) -> ServiceAccess | None:
    """Return the settings of the service, from *spec* and the environment of the job; None outside of a job."""
    token = spec.token or env.get("ACTIONS_RUNTIME_TOKEN", "")
    new = spec.url_v2 or env.get("ACTIONS_RESULTS_URL", "")
    old = spec.url or env.get("ACTIONS_CACHE_URL", "")
    version = spec.version or 2
    if spec.version is None and not spec.url_v2:
        prefers_new = is_true(env.get("ACTIONS_CACHE_SERVICE_V2", "")) and not spec.url
        version = 2 if prefers_new or not old else 1
    url = old if version == 1 else new
    return ServiceAccess(version=version, url=url, token=token) if url and token else None


class GhaPlace:
    """The cache of one ``scope=``, as far as the token of the job may see it."""

    def __init__(self, spec: GhaCache, env: Mapping[str, str] = os.environ) -> None:
        self._access = access_of(spec, env)
        self._scope = spec.scope
        self._seconds = spec.timeout
        self.name = f"GitHub Actions Cache, scope {self._scope}"

    def load(self, store: Store, tell: Tell = ignore_progress) -> Remembered:
        """Return the documents of the branches that the token may read, in their order."""
        del store
        found = []
        with self._open(tell) as (service, wire):
            for branch, _ in branches(self._token):
                entry = service.find(self._index_key(branch))
                if entry is not None:
                    found.append(Remembered.from_json(_document(entry, wire), "cache"))
        if not found:
            raise ImageNotFound("no cache of this scope exists yet")
        records = {key: layers for cache in reversed(found) for key, layers in cache.records.items()}
        selections = {key: content for cache in reversed(found) for key, content in cache.selections.items()}
        return Remembered(records=records, selections=selections, mounts=tuple(m for c in found for m in c.mounts))

    def fetch(self, blobs: Iterable[Descriptor], store: Store, status: Status) -> None:
        """Download layers, verified."""
        with self._open(telling(status)) as (service, wire), stopping.pool(_AT_ONCE) as pool:
            for end in [pool.submit(_fetch, blob, service, wire, store, status) for blob in blobs]:
                end.result()

    def keep(self, remembered: Remembered, store: Store, status: Status) -> None:
        """Upload the layers that the service does not have, then the document under the next number."""
        writable = [branch for branch, permission in branches(self._token) if permission & _WRITE]
        with self._open(telling(status)) as (service, _):
            with stopping.pool(_AT_ONCE) as pool:
                for end in [pool.submit(_upload, blob, service, store, status) for blob in remembered.blobs]:
                    end.result()
            self._save_document(service, writable[-1] if writable else "", remembered.to_json())

    @property
    def _token(self) -> str:
        return self._access.token if self._access else ""

    @contextmanager
    def _open(self, tell: Tell) -> Iterator[tuple[Service, Wire]]:
        access = self._access
        if access is None:
            raise OciError(
                "no cache service: ACTIONS_RESULTS_URL or ACTIONS_RUNTIME_TOKEN is not set",
                hint="in a job of GitHub Actions, pass both to this step, as crazy-max/ghaction-github-runtime does",
            )
        retry = Retry(budget=self._seconds, tell=tell)
        with closing(Wire(access.token, self._seconds, retry)) as wire:
            yield (ServiceV2 if access.version == 2 else ServiceV1)(access.url, wire), wire

    def _index_key(self, branch: str) -> str:
        return f"pybuild-index-{self._scope}-1-{hashlib.sha256(branch.encode()).hexdigest()[:8]}#"

    def _save_document(self, service: Service, branch: str, document: bytes) -> None:
        prefix = self._index_key(branch)
        latest = service.find(prefix)
        number = _number(latest, prefix)
        while True:
            number += 1
            try:
                # A file, because a request that fails is sent again from its beginning.
                with tempfile.TemporaryFile() as file:
                    with in_temporary():
                        file.write(document)
                        file.flush()
                    service.save(f"{prefix}{number}", Content(file=file, size=len(document), sent=lambda _: None))
            except AlreadyThere:
                # Another job is writing this number, or was ended while writing it.
                if number > _number(latest, prefix) + 100:
                    raise
            else:
                return


def _number(entry: FoundEntry | None, prefix: str) -> int:
    text = entry.key.removeprefix(prefix) if entry else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def branches(token: str) -> tuple[tuple[str, int], ...]:
    """Return (branch, permission: 1 read, 2 write) of a token, ("", 2) for another kind of token."""
    try:
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        listed = json.loads(claims["ac"])
        found = tuple((str(item["Scope"]), int(item["Permission"])) for item in listed)
    except (IndexError, KeyError, TypeError, ValueError):
        found = ()
    return found or (("", _WRITE),)


def _blob_key(blob: Descriptor) -> str:
    return f"pybuild-blob-1-{blob.digest}"


def _document(entry: FoundEntry, wire: Wire) -> bytes:
    body = bytearray()

    def read() -> None:
        body.clear()
        with wire.reading(entry.url) as pieces:
            for piece in pieces:
                body.extend(piece)
                if len(body) > DOCUMENT_LIMIT:
                    raise SizeMismatch(f"{entry.key}: more than the {DOCUMENT_LIMIT} bytes permitted")

    wire.retry(read)
    return bytes(body)


def _fetch(blob: Descriptor, service: Service, wire: Wire, store: Store, status: Status) -> None:
    """Fetch one layer, and verify its digest and size."""
    entry = service.find(_blob_key(blob))
    if entry is None or entry.key != _blob_key(blob):
        raise ImageNotFound(f"layer {blob.digest} is not in the cache any more")

    def read() -> None:
        with wire.reading(entry.url) as pieces, store.blobs.writer(blob.digest.algorithm) as writer:
            for piece in pieces:
                writer.write(piece)
                if writer.size > blob.size:
                    raise SizeMismatch(f"{blob.digest} is longer than the {blob.size} bytes it should have")
                status(str(blob.digest), writer.size, blob.size)
            writer.commit(blob.digest)

    wire.retry(read)


def _upload(blob: Descriptor, service: Service, store: Store, status: Status) -> None:
    """Write one layer, unless it exists or another job is writing it."""
    key = _blob_key(blob)
    if service.find(key) is not None:
        status(str(blob.digest), blob.size, blob.size)
        return
    with store.blobs.open(blob) as file, suppress(AlreadyThere):
        content = Content(file=file, size=blob.size, sent=lambda count: status(str(blob.digest), count, blob.size))
        service.save(key, content)
