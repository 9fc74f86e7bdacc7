"""Files from the web, pinned: the content of a URL is stored as a blob, together with what the server answered.

A later request sends the remembered ETag and Last-Modified, so that the server does not send an unchanged file again.
With a checksum nothing is requested while the store has the blob.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import urlsplit

from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, OciError
from pybuild.builder.oci.registry.access import ignore_message
from pybuild.builder.oci.registry.web import SIZE_LIMIT, WebRequest, download
from pybuild.builder.oci.registry.wire.origin import origin_of
from pybuild.builder.oci.registry.wire.retry import Retry
from pybuild.builder.plan.ops import Http
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources.address import HttpSource
from pybuild.builder.sources.credentials import http_authorization
from pybuild.builder.sources.server_answers import KnownFile
from pybuild.builder.store.store import Store
from pybuild.runtime.values import field, frozen

_DECODED = "decoded "
"""The prefix of URLs in the store. A record without it, of an older version, may be about the compressed content."""

_ATTEMPTS = 4
"""BuildKit asks once. Four times with short pauses outlive a restart; one file of many servers is not worth more."""
_PATIENCE = 30.0
"""Seconds. A server that asks for a longer pause has failed."""

ReportBytes = Callable[[str, int, int], None]
"""Receives the progress of a download: its name, the bytes so far, and the bytes in total."""


def known_by_checksum(source: HttpSource, store: Store) -> KnownFile | None:
    """Return the content of *source* if the store has a blob with its checksum that was fetched from its URL."""
    known = _remembered(source.url, store)
    return known if known is not None and known.digest == source.checksum else None


@frozen
class Fetching:
    """How a download is watched: *tell* receives messages about waiting for the server, and *stop* ends it."""

    report: ReportBytes = lambda _name, _done, _total: None
    tell: Callable[[str], None] = ignore_message
    stop: threading.Event = field(default_factory=threading.Event)


def ask(source: HttpSource, inputs: HostInputs, store: Store, fetching: Fetching) -> KnownFile:
    """Fetch the file, unless the store has it and it is unchanged, and return its facts.

    Raises:
        BuildError: the file cannot be fetched, or does not have the checksum.
    """
    old = None if source.checksum else _remembered(source.url, store)
    wanted = _wanted(source, old, inputs)
    try:
        fresh = download(
            wanted,
            store.blobs,
            lambda now, total: fetching.report(source.url, now, total),
            Retry(tell=fetching.tell, attempts=_ATTEMPTS, budget=_PATIENCE),
            fetching.stop,
        )
    except OciError as error:
        if fetching.stop.is_set():
            raise Cancelled("cancelled") from error
        raise _failed(source.url, error) from error
    if fresh is None and old is not None:
        return old
    if fresh is None:
        raise BuildError(f"failed to load {source.url}: the server sent nothing")
    known = KnownFile(digest=str(fresh.digest), etag=fresh.etag, last_modified=fresh.last_modified)
    store.cache.put_download(_DECODED + source.url, json.dumps(asdict(known)))
    return known


def fetch_again(op: Http, inputs: HostInputs, store: Store, fetching: Fetching) -> None:
    """Fetch the content of *op* again when its blob is gone; see `ask`. Raises BuildError when it has changed."""
    if not store.blobs.exists(Digest.parse(op.digest)):
        ask(HttpSource(url=op.url, checksum=op.digest, name=op.name), inputs, store, fetching)


def _remembered(url: str, store: Store) -> KnownFile | None:
    """Return the facts about *url*, if its content is still in the store."""
    document = store.cache.download(_DECODED + url)
    if document is None:
        return None
    known = KnownFile(**json.loads(document))
    return known if store.blobs.exists(Digest.parse(known.digest)) else None


def _wanted(source: HttpSource, old: KnownFile | None, inputs: HostInputs) -> WebRequest:
    return WebRequest(
        url=source.url,
        etag=old.etag if old else "",
        last_modified=old.last_modified if old else "",
        authorization=http_authorization(urlsplit(source.url).hostname or "", inputs),
        expected=Digest.parse(source.checksum) if source.checksum else None,
        limit=source.limit or SIZE_LIMIT,
    )


def _failed(url: str, error: OciError) -> BuildError:
    """Return the message of a failure, with the URL, and with that of a redirect that failed."""
    if isinstance(error, DigestMismatch):
        return BuildError(f"digest mismatch of {url}: {error}")
    reason = str(error)
    for known in (f"GET {url.partition('?')[0]}: ", f"{url}: ", f"{origin_of(url)}: "):
        reason = reason.removeprefix(known)
    return BuildError(f"failed to load {url}: {reason}", hint=error.hint)
