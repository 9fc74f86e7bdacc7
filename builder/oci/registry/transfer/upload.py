"""Uploading one blob (distribution-spec, "Pushing Blobs").

The first of these that works: the blob exists already; it is mounted from another repository of the same server; it is
sent in one request; it is sent in chunks, if one request was interrupted or is too large for the server. The next chunk
starts where the server says; a session that the server has lost is started again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import RegistryError, RegistryUnavailable
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.transfer.documents import stored_as_another
from pybuild.builder.oci.registry.transfer.download import PROGRESS
from pybuild.builder.oci.registry.transfer.parallel import Stop
from pybuild.builder.oci.registry.transfer.remote import Remote, TransferProgress
from pybuild.builder.oci.registry.wire.body import FileBody
from pybuild.builder.oci.registry.wire.http import Reply
from pybuild.builder.oci.registry.wire.origin import joined
from pybuild.builder.oci.streams.verified import pieces, verifying

PUSHED, EXISTED, MOUNTED = "Pushed", "Layer already exists", "Mounted from"

CHUNK = 32 * 1024 * 1024
"""Bytes of a chunk, after a single request failed."""
SMALLEST = 64 * 1024
"""The smallest chunk: a server that refuses this would refuse any."""

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,19})\Z")
_TYPE = {"Content-Type": "application/octet-stream"}
_MADE = frozenset({200, 201, 202, 204})
"""The specification has only 201. If another status was not success, the manifest is refused later."""
_TAKEN = frozenset({201, 202, 204})
_GONE = frozenset({404, 410, 416})
_GONE_CODES = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"})
_TOO_LARGE = 413
_OTHER_FORM = frozenset({400, 405, 411, 415, 501})
"""Answers of a server that does not take the form of a request: the other of the two forms is tried then."""


class _Lost(RegistryUnavailable):
    """The server has lost the session; a new one may succeed."""


@dataclass(slots=True)
class _Session:
    """The URL for the next bytes, and the number of bytes that the server has."""

    url: str
    offset: int = 0


class Upload:
    """The upload of one blob. *sources* are other repositories of the server that may have it."""

    def __init__(
        self,
        remote: Remote,
        wanted: Descriptor,
        blobs: BlobStore,
        *,
        sources: Sequence[str],
        progress: TransferProgress,
    ) -> None:
        self._remote, self._wanted, self._blobs = remote, wanted, blobs
        self._sources, self._progress, self._stop = list(sources), progress, Stop()
        self._session: _Session | None = None
        self._file: BinaryIO | None = None
        self._chunk = 0
        self._least = 0
        self._form: bool | None = None
        """Whether chunks alone are taken, or one request alone; None while both are possible."""
        self._doubtful = False
        self._refused = False

    def run(self, stop: Stop) -> str:
        """Upload the blob and return how: `PUSHED`, `EXISTED`, or `MOUNTED` and the repository. *stop* ends it.

        Raises:
            BlobNotFound, SizeMismatch, DigestMismatch, OSError: the copy in the store is needed but unusable.
            RegistryError: the registry refuses it.
        """
        self._stop = stop
        if self._remote.retry.run(self._exists, stop.event):
            self._progress(str(self._wanted.digest), self._wanted.size, self._wanted.size)
            return EXISTED
        try:
            return self._send()
        finally:
            if self._file is not None:
                self._file.close()

    def _send(self) -> str:
        attempts = self._remote.retry.begin(self._stop.event)
        farthest = 0
        while True:
            self._stop.check()
            try:
                with self._remote.lanes.one():
                    return self._attempt()
            except RegistryUnavailable as error:
                if isinstance(error, _Lost):
                    self._session = None
                    farthest = 0
                elif self._session and self._session.offset >= farthest + PROGRESS:
                    attempts.renew()
                    farthest = self._session.offset
                self._doubtful = True
                attempts.wait(error)

    def _attempt(self) -> str:
        if self._doubtful:
            # Perhaps only the answer was lost, and not the blob.
            if self._exists():
                return PUSHED
            self._recover()
            self._doubtful = False
        if self._session is None:
            mounted = self._open()
            if mounted:
                return mounted
        # Opened only now, because a blob that can be mounted need not be fetched first.
        self._file = self._file or self._blobs.open(self._wanted)
        self._transmit(self._open_session(), self._file)
        return PUSHED

    def _exists(self) -> bool:
        """Ask whether the registry has the blob; if the answer has a length, it must be right."""
        try:
            with self._remote.get(f"blobs/{self._wanted.digest}", method="HEAD") as reply:
                length = reply.headers.get("Content-Length", "")
        except RegistryUnavailable:
            raise
        except RegistryError:
            # A server may not support HEAD, or permit only pushing: the upload itself gives a better error.
            return False
        return not length.isdecimal() or length == str(self._wanted.size)

    def _open_session(self) -> _Session:
        if self._session is None:
            raise _Lost(f"no session for {self._wanted.digest}")
        return self._session

    def _open(self) -> str:
        """Start a session; returns how the blob got there when none is needed."""
        source = self._sources[0] if self._sources else ""
        try:
            reply = self._begin(source)
        except RegistryUnavailable:
            # Some servers fail with 500 or 502 where they cannot mount.
            self._sources.clear()
            raise
        except RegistryError:
            if not source:
                raise
            # A repository that does not exist or may not be read must not make the push fail.
            self._sources.clear()
            source, reply = "", self._begin("")
        self._sources.clear()
        with reply:
            if reply.status == 201:
                self._progress(str(self._wanted.digest), self._wanted.size, self._wanted.size)
                return f"{MOUNTED} {source}" if source else PUSHED
            self._session = _Session(_location(reply))
            least = reply.headers.get("OCI-Chunk-Min-Length", "")
            self._least = int(least) if least.isdecimal() and len(least) < 12 else 0
        return ""

    def _begin(self, source: str) -> Reply:
        url = self._remote.url("blobs/uploads/")
        if source:
            url += f"?mount={quote(str(self._wanted.digest))}&from={quote(source, safe='')}"
        return self._remote.change("POST", url, expected=frozenset({201, 202}), source=source)

    def _recover(self) -> None:
        """Ask a session how far it came; forget it when it is gone."""
        if self._session is None:
            return
        # One large request failed somewhere on the way: smaller ones can be resumed.
        self._chunk = self._chunk or CHUNK
        try:
            with self._remote.change("GET", self._session.url, expected=frozenset({200, 204})) as reply:
                self._advance(reply, known=0)
        except RegistryUnavailable:
            raise
        except RegistryError:
            self._session = None

    def _transmit(self, session: _Session, file: BinaryIO) -> None:
        whole = not session.offset and self._form is not True and self._fits()
        try:
            if whole:
                self._finish(session, file, self._wanted.size)
            else:
                while session.offset < self._wanted.size:
                    self._patch(session, file)
                self._finish(session, file, 0)
        except RegistryUnavailable:
            raise
        except RegistryError as error:
            if error.status in _OTHER_FORM and error.code in {"", "UNSUPPORTED"} and self._form is None:
                self._form = whole
                raise _Lost(str(error), status=error.status) from error
            self._raise_refusal(error, file)

    def _fits(self) -> bool:
        """Return whether one request may have the whole blob."""
        return self._form is False or not self._chunk or self._wanted.size <= self._chunk

    def _patch(self, session: _Session, file: BinaryIO) -> None:
        size = min(max(self._chunk, self._least), self._wanted.size - session.offset)
        end = session.offset + size
        # Without the unit that RFC 9110 has (distribution-spec, "Pushing a blob in chunks").
        headers = {**_TYPE, "Content-Range": f"{session.offset}-{end - 1}"}
        body = self._body(file, session.offset, size)
        with self._remote.change("PATCH", session.url, body=body, headers=headers, expected=_TAKEN) as reply:
            before = session.offset
            self._advance(reply, known=end)
        if session.offset <= before:
            raise RegistryUnavailable(f"{reply.origin} accepts no more of {self._wanted.digest}")

    def _finish(self, session: _Session, file: BinaryIO, size: int) -> None:
        """Send the last *size* bytes, and the digest of the whole."""
        joint = "&" if "?" in session.url else "?"
        url = f"{session.url}{joint}digest={quote(str(self._wanted.digest))}"
        body = self._body(file, session.offset, size) if size else b""
        with self._remote.change("PUT", url, body=body, headers=_TYPE, expected=_MADE) as reply:
            found = stored_as_another(reply.headers, self._wanted.digest)
        if found is not None:
            raise RegistryError(f"{reply.origin} has stored {self._wanted.digest} as {found}")

    def _advance(self, reply: Reply, *, known: int) -> None:
        """Continue at the offset in the answer of the server, else at *known*."""
        session = self._open_session()
        found = _RANGE.match(reply.headers.get("Range", ""))
        # Registries also send "0-0" when they have nothing.
        offset = known if found is None else (int(found[1]) + 1 if int(found[1]) else 0)
        if offset > self._wanted.size:
            raise _Lost(f"{reply.origin} claims more bytes of {self._wanted.digest} than it has")
        session.offset = offset
        if reply.headers.get("Location"):
            session.url = _location(reply)

    def _body(self, file: BinaryIO, offset: int, size: int) -> FileBody:
        def sent(at: int) -> None:
            self._stop.check()
            self._progress(str(self._wanted.digest), at, self._wanted.size)

        return FileBody(file=file, offset=offset, size=size, sent=sent)

    def _raise_refusal(self, error: RegistryError, file: BinaryIO) -> None:
        """Raise the error for a status other than success."""
        if error.status in _GONE or error.code in _GONE_CODES:
            raise _Lost(str(error), status=error.status) from error
        # Mostly the limit of a proxy in front, which does not say what it is (nginx: client_max_body_size).
        if error.status == _TOO_LARGE:
            before = self._chunk or self._wanted.size
            self._chunk = min(CHUNK, max(before // 2, self._least))
            if before > max(SMALLEST, self._least):
                raise _Lost(f"{error}; trying smaller chunks", status=error.status) from error
        if error.code == "DIGEST_INVALID":
            # Raises when the copy in the store is the wrong one.
            file.seek(0)
            for _ in pieces(verifying(self._blobs.open(self._wanted), self._wanted.digest, self._wanted.size)):
                self._stop.check()
            if not self._refused:
                self._refused = True
                raise _Lost(f"{error}; trying once more", status=error.status) from error
        raise error


def _location(reply: Reply) -> str:
    location = reply.headers.get("Location")
    if not location:
        raise RegistryError(f"{reply.origin} starts an upload without a location")
    return joined(reply.url, location)
