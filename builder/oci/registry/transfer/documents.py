"""Downloading and uploading manifests and indexes; each is verified when it is downloaded."""

import re
from collections.abc import Mapping

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.documents import describe
from pybuild.builder.oci.errors import (
    DigestMismatch,
    ImageNotFound,
    InvalidDigest,
    InvalidImage,
    RegistryError,
    RegistryUnavailable,
    SizeMismatch,
)
from pybuild.builder.oci.image import INDEX_DEPTH, check_media_type, children, select
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Descriptor, Index, Platform
from pybuild.builder.oci.registry.transfer.remote import Remote
from pybuild.builder.oci.streams.verified import Verifier

_ACCEPT = {"Accept": f"{media.OCI_INDEX}, {media.OCI_MANIFEST}, {media.DOCKER_INDEX}, {media.DOCKER_MANIFEST}"}
_TAG = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)
_MADE = frozenset({200, 201, 202})


class Documents:
    """The documents of one repository as a source for one store."""

    def __init__(self, remote: Remote, blobs: BlobStore) -> None:
        self._remote, self._blobs = remote, blobs

    def pin(self, target: str) -> Descriptor:
        """Return the current descriptor of a tag or a digest, after its document was stored."""
        digest = as_digest(target) or self._remote.retry.run(lambda: self._ask_digest(target))
        if digest and self._blobs.exists(digest):
            with self._blobs.open(digest) as file:
                raw = file.read(DOCUMENT_LIMIT + 1)
            if len(raw) <= DOCUMENT_LIMIT and has_digest(raw, digest):
                return describe(raw, digest)
        return self._fetch(target, digest)

    def select(self, descriptor: Descriptor, platform: Platform) -> Descriptor:
        """Descend from an index to the manifest for *platform*, fetching the documents on the way."""
        for _ in range(INDEX_DEPTH):
            if descriptor.media_type in media.MANIFESTS:
                return descriptor
            index = Index.from_json(self._blobs.read(descriptor), f"index {descriptor.digest}")
            descriptor = select(index, platform, descriptor.digest)
            self._fetch_listed(descriptor)
        if descriptor.media_type not in media.MANIFESTS:
            raise _too_deep(descriptor)
        return descriptor

    def fetch_all(self, descriptor: Descriptor) -> tuple[Descriptor, ...]:
        """Fetch all documents below *descriptor* and return the blobs that they name."""
        found: dict[Digest, Descriptor] = {}
        waiting, seen = [(descriptor, 0)], {descriptor.digest}
        while waiting:
            item, depth = waiting.pop(0)
            if depth > INDEX_DEPTH:
                raise _too_deep(item)
            for child in children(self._blobs, item):
                if child.digest in seen:
                    continue
                seen.add(child.digest)
                if child.media_type in media.INDEXES | media.MANIFESTS:
                    self._fetch_listed(child)
                    waiting.append((child, depth + 1))
                else:
                    found[child.digest] = child
        return tuple(found.values())

    def _ask_digest(self, tag: str) -> Digest | None:
        """Return the digest of a tag by HEAD, which does not count as a pull; None without a clear answer."""
        try:
            with self._remote.get(f"manifests/{tag}", method="HEAD", headers=_ACCEPT) as reply:
                return Digest.parse(reply.headers.get("Docker-Content-Digest", ""))
        except RegistryUnavailable:
            raise
        except (InvalidDigest, RegistryError):
            # Some do not know HEAD (405), and a refusal has its reason only in the body of an answer to GET.
            return None

    def _fetch_listed(self, listed: Descriptor) -> None:
        """Fetch a document that an index lists, and check it against the index."""
        if self._blobs.has(listed):
            return
        found = self._fetch(str(listed.digest), listed.digest)
        if found.size != listed.size:
            raise SizeMismatch(f"{listed.digest} has {found.size} bytes instead of {listed.size}")
        check_media_type(listed, found.media_type)

    def _fetch(self, target: str, expected: Digest | None) -> Descriptor:
        raw, headers = self._remote.retry.run(lambda: get_document(self._remote, str(expected or target)))
        digest = expected or announced(headers) or Digest.of(raw)
        if not has_digest(raw, digest):
            raise DigestMismatch(f"{self._remote.repository}: the registry did not send {digest}")
        descriptor = describe(raw, digest, headers.get("Content-Type", ""))
        with self._blobs.writer(digest.algorithm) as writer:
            writer.write(raw)
            writer.commit(digest)
        return descriptor


def get_document(remote: Remote, target: str) -> tuple[bytes, Mapping[str, str]]:
    """Return the bytes of a document, not verified, and the header that came with them."""
    try:
        with remote.get(f"manifests/{target}", headers=_ACCEPT) as reply:
            content = reply.content(DOCUMENT_LIMIT)
    except RegistryError as error:
        if error.status == 404:
            raise ImageNotFound(f"manifest for {_named(remote, target)} not found: manifest unknown") from error
        raise
    if content is None:
        raise InvalidImage(f"{remote.repository}: manifest {target} is larger than {DOCUMENT_LIMIT} bytes")
    return content, reply.headers


def _named(remote: Remote, target: str) -> str:
    origin = remote.client.origin
    return f"{str(origin).partition('://')[2]}/{remote.repository}{'@' if ':' in target else ':'}{target}"


def put_document(remote: Remote, target: str, descriptor: Descriptor, raw: bytes) -> Mapping[str, str]:
    """Store a document under a tag or its digest and return the header of the answer.

    Raises:
        DigestMismatch: the registry stored another document.
    """
    headers = {"Content-Type": descriptor.media_type}

    def put() -> Mapping[str, str]:
        with remote.change(
            "PUT", remote.url(f"manifests/{target}"), body=raw, headers=headers, expected=_MADE
        ) as reply:
            return reply.headers

    try:
        answer = remote.retry.run(put)
    except RegistryUnavailable:
        raise
    except RegistryError:
        # A tag that may not be overwritten is refused even when it names this very document (ECR, Harbor, Artifactory).
        answer = _header_of(remote, target)
        if announced(answer) != descriptor.digest:
            raise
    if (found := stored_as_another(answer, descriptor.digest)) is not None:
        raise DigestMismatch(f"{remote.client.origin} has stored {descriptor.digest} as {found}")
    return answer


def _header_of(remote: Remote, target: str) -> Mapping[str, str]:
    """Return the header of a document; empty when the registry does not give it."""
    try:
        with remote.get(f"manifests/{target}", method="HEAD", headers=_ACCEPT) as reply:
            return reply.headers
    except RegistryError:
        return {}


def as_digest(target: str) -> Digest | None:
    """Return *target* as a digest; None when it is a tag, which is a word without a colon.

    Raises:
        InvalidDigest, RegistryError: it is neither.
    """
    if ":" in target:
        return Digest.parse(target)
    if not _TAG.match(target):
        raise RegistryError(f"invalid tag {target[:200]!r}")
    return None


def announced(headers: Mapping[str, str]) -> Digest | None:
    """Return the digest in the header of an answer; None without a valid one."""
    try:
        return Digest.parse(headers.get("Docker-Content-Digest", ""))
    except InvalidDigest:
        return None


def stored_as_another(headers: Mapping[str, str], sent: Digest) -> Digest | None:
    """Return the digest in the answer to what was *sent*, if that shows that the server has stored something else.

    A server may answer with a digest by another algorithm (distribution-spec, "Pushing Manifests").
    """
    found = announced(headers)
    return found if found is not None and found.algorithm == sent.algorithm and found != sent else None


def has_digest(raw: bytes, digest: Digest) -> bool:
    """Return whether *digest* is that of these bytes."""
    verifier = Verifier(digest, None)
    verifier.update(raw)
    try:
        verifier.finish()
    except DigestMismatch:
        return False
    return True


def _too_deep(descriptor: Descriptor) -> InvalidImage:
    return InvalidImage(f"index {descriptor.digest}: more than {INDEX_DEPTH} indexes in one another")
