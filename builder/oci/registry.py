"""Images from a registry (OCI distribution-spec), into a blob store, each byte verified.

A pull has two halves, because a build needs the documents of its base at once and the layers only when something reads
them: `Registry.resolve` brings manifest and config and pins what the tag stood for; `Registry.fetch` brings blobs.
What a manifest says about other places for its content (``urls``) is ignored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.oci import media
from builder.oci.blobs import BlobStore
from builder.oci.client import Client, Credentials
from builder.oci.digest import Digest
from builder.oci.documents import describe
from builder.oci.errors import (
    DigestMismatch,
    ImageNotFound,
    InvalidDigest,
    InvalidImage,
    RegistryError,
    RegistryUnavailable,
    SizeMismatch,
)
from builder.oci.image import INDEX_DEPTH, Image, check_media_type, host_platform, read_image, select
from builder.oci.json_text import DOCUMENT_LIMIT
from builder.oci.model import Descriptor, Index, Manifest, Platform
from builder.oci.retry import Retry
from builder.oci.transfer import FetchProgress, Transfer, no_progress
from builder.oci.verified import Verifier

_ACCEPT = f"{media.OCI_INDEX}, {media.OCI_MANIFEST}, {media.DOCKER_INDEX}, {media.DOCKER_MANIFEST}"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_TAG = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a name stood for: *pinned* is what the registry has under it, an index or a manifest."""

    pinned: Descriptor
    image: Image


class Registry:
    """One registry, named as in references: ``docker.io``, ``localhost:5000``. May be used by several threads."""

    def __init__(self, name: str, *, credentials: Credentials | None = None, retry: Retry | None = None) -> None:
        self._client = Client(name, credentials)
        self._retry = retry or Retry()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def resolve(self, repository: str, target: str, blobs: BlobStore, platform: Platform | None = None) -> Resolved:
        """Bring the documents of the image that *target*, a tag or a digest, names. Its layers are not touched.

        Raises:
            ImageNotFound: the registry does not have it, or not for this platform.
            InvalidImage, DigestMismatch, SizeMismatch: what it has is wrong; it was not stored.
            RegistryError: the registry failed more often than patience lasts.
        """
        _check_name(repository)
        pinned = self._pin(repository, target, blobs)
        descriptor = self._select(repository, pinned, blobs, platform or host_platform())
        manifest = Manifest.from_json(blobs.read(descriptor), f"manifest {descriptor.digest}")
        if manifest.config.size > DOCUMENT_LIMIT:
            raise InvalidImage(f"config {manifest.config.digest} is larger than {DOCUMENT_LIMIT} bytes")
        self.fetch(repository, (manifest.config,), blobs)
        return Resolved(pinned=pinned, image=read_image(blobs, descriptor, platform))

    def fetch(
        self,
        repository: str,
        descriptors: Sequence[Descriptor],
        blobs: BlobStore,
        progress: FetchProgress = no_progress,
    ) -> None:
        """Bring all of these blobs that are not there yet. When one fails for good, the others are given up.

        Raises:
            DigestMismatch, SizeMismatch: the registry sent something else; it was not stored.
            RegistryError: the registry failed more often than patience lasts.
        """
        _check_name(repository)
        Transfer(self._client, repository, blobs, progress).run(descriptors, self._retry)

    def _pin(self, repository: str, target: str, blobs: BlobStore) -> Descriptor:
        """Return the descriptor of what *target* names at this moment, its document stored."""
        digest = _as_digest(target) or self._retry.run(lambda: self._ask_digest(repository, target))
        if digest and blobs.exists(digest):
            with blobs.open(digest) as file:
                raw = file.read(DOCUMENT_LIMIT + 1)
            if len(raw) <= DOCUMENT_LIMIT and _has_digest(raw, digest):
                return describe(raw, digest)
        return self._get_manifest(repository, target, digest, blobs)

    def _ask_digest(self, repository: str, tag: str) -> Digest | None:
        """Ask what a tag stands for, which costs no pull of a user's allowance; None when there is no clear answer."""
        try:
            with self._client.get(repository, f"manifests/{tag}", accept=_ACCEPT, method="HEAD") as reply:
                return Digest.parse(reply.headers.get("Docker-Content-Digest", ""))
        except RegistryUnavailable:
            raise
        except (InvalidDigest, RegistryError):
            # Some know no HEAD (405); and a refusal gives its reason only in the body of an answer to GET.
            return None

    def _select(self, repository: str, descriptor: Descriptor, blobs: BlobStore, wanted: Platform) -> Descriptor:
        """Go down from an index to the manifest for *wanted*, bringing the documents on the way."""
        for _ in range(INDEX_DEPTH):
            if descriptor.media_type in media.MANIFESTS:
                return descriptor
            index = Index.from_json(blobs.read(descriptor), f"index {descriptor.digest}")
            descriptor = select(index, wanted, descriptor.digest)
            if not blobs.has(descriptor):
                self._get_listed(repository, descriptor, blobs)
        if descriptor.media_type not in media.MANIFESTS:
            raise InvalidImage(f"index {descriptor.digest}: more than {INDEX_DEPTH} indexes in one another")
        return descriptor

    def _get_listed(self, repository: str, listed: Descriptor, blobs: BlobStore) -> None:
        """Bring a document that an index lists, if it is what the index says it is."""
        found = self._get_manifest(repository, str(listed.digest), listed.digest, blobs)
        if found.size != listed.size:
            raise SizeMismatch(f"{listed.digest} has {found.size} bytes instead of {listed.size}")
        check_media_type(listed, found.media_type)

    def _get_manifest(self, repository: str, target: str, expected: Digest | None, blobs: BlobStore) -> Descriptor:
        raw, headers = self._retry.run(lambda: self._get_document(repository, str(expected or target)))
        digest = expected or _announced(headers) or Digest.of(raw)
        if not _has_digest(raw, digest):
            raise DigestMismatch(f"{repository}: the registry sent something else than {digest}")
        descriptor = describe(raw, digest, headers.get("Content-Type", ""))
        with blobs.writer(digest.algorithm) as writer:
            writer.write(raw)
            writer.commit(digest)
        return descriptor

    def _get_document(self, repository: str, target: str) -> tuple[bytes, Mapping[str, str]]:
        try:
            with self._client.get(repository, f"manifests/{target}", accept=_ACCEPT) as reply:
                content = reply.content(DOCUMENT_LIMIT)
        except RegistryError as error:
            if error.status == 404:
                raise ImageNotFound(f"{self._client.origin} has no {target} in {repository}") from error
            raise
        if content is None:
            raise InvalidImage(f"{repository}: manifest {target} is larger than {DOCUMENT_LIMIT} bytes")
        return content, reply.headers


def _check_name(repository: str) -> None:
    if not _REPOSITORY.match(repository):
        raise RegistryError(f"invalid repository name {repository[:200]!r}")


def _as_digest(target: str) -> Digest | None:
    """Return *target* as a digest; None when it is a tag, which is a word without a colon."""
    if ":" in target:
        return Digest.parse(target)
    if not _TAG.match(target):
        raise RegistryError(f"invalid tag {target[:200]!r}")
    return None


def _announced(headers: Mapping[str, str]) -> Digest | None:
    try:
        return Digest.parse(headers.get("Docker-Content-Digest", ""))
    except InvalidDigest:
        return None


def _has_digest(raw: bytes, digest: Digest) -> bool:
    verifier = Verifier(digest, None)
    verifier.update(raw)
    try:
        verifier.finish()
    except DigestMismatch:
        return False
    return True
