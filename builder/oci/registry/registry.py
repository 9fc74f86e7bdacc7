"""Images from and to a registry (OCI distribution-spec), each byte verified.

A pull has two halves, because a build needs the documents of its base at once and the layers only when something reads
them: `Registry.resolve` fetches manifest and config and pins the digest of the tag; `Registry.fetch` fetches blobs. The
``urls`` of a manifest, other places for its content, are ignored.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage, RegistryError
from pybuild.builder.oci.image import Image, host_platform, read_image
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Descriptor, Manifest, Platform
from pybuild.builder.oci.registry.access import AS_CONFIGURED, Access
from pybuild.builder.oci.registry.auth.tokens import Scope
from pybuild.builder.oci.registry.client import Call
from pybuild.builder.oci.registry.lists import list_tags
from pybuild.builder.oci.registry.servers import RegistryServers
from pybuild.builder.oci.registry.settings import Settings, host_settings
from pybuild.builder.oci.registry.transfer.documents import Documents, as_digest
from pybuild.builder.oci.registry.transfer.download import fetch_blobs
from pybuild.builder.oci.registry.transfer.parallel import Stop
from pybuild.builder.oci.registry.transfer.push import PushOptions, push_image
from pybuild.builder.oci.registry.transfer.referrers import list_referrers
from pybuild.builder.oci.registry.transfer.remote import Remote, TransferProgress, first_good, no_progress
from pybuild.builder.oci.registry.wire.http import Reply, Timing
from pybuild.builder.oci.registry.wire.retry import Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The image of a name: *pinned* is what the registry has under the name, an index or a manifest."""

    pinned: Descriptor
    image: Image


class Registry:
    """One registry, named as in references: ``docker.io``, ``localhost:5000``. Thread-safe.

    Credentials of *access* override those of *settings*. Images are pulled from mirrors first, and pushed to the
    registry itself.
    """

    def __init__(
        self,
        name: str,
        settings: Settings | None = None,
        *,
        access: Access = AS_CONFIGURED,
        retry: Retry | None = None,
        timing: Timing | None = None,
    ) -> None:
        # Retries are reported to whoever gave the access.
        retry = replace(retry or Retry(), tell=access.tell)
        self._servers = RegistryServers(name, settings or Settings(), access, retry, timing or Timing())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for client in self._servers.clients():
            client.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the servers, from ``Warning`` headers."""
        return tuple(text for client in self._servers.clients() for text in client.warnings)

    def resolve(self, repository: str, target: str, blobs: BlobStore, platform: Platform | None = None) -> Resolved:
        """Fetch the documents of the image that *target*, a tag or a digest, names, without its layers.

        An image without an index may be for another *platform*.

        Raises:
            ImageNotFound: the registry does not have it, or not for this platform.
            InvalidImage, DigestMismatch, SizeMismatch: the documents are invalid, and were not stored.
            RegistryError: the registry still failed after all retries.
            CredentialsError: it requires authentication, and the user's credentials cannot be read.
        """
        by_digest = as_digest(target) is not None

        def at(remote: Remote) -> Resolved:
            documents = Documents(remote, blobs)
            pinned = documents.pin(target)
            descriptor = documents.select(pinned, platform or host_platform())
            manifest = Manifest.from_json(blobs.read(descriptor), f"manifest {descriptor.digest}")
            if manifest.config.size > DOCUMENT_LIMIT:
                raise InvalidImage(f"config {manifest.config.digest} is larger than {DOCUMENT_LIMIT} bytes")
            fetch_blobs((remote,), (manifest.config,), blobs, no_progress, Stop())
            return Resolved(pinned=pinned, image=read_image(blobs, descriptor))

        return first_good(self._servers.remotes(repository, by_digest=by_digest), at)

    def resolve_all(
        self, repository: str, target: str, blobs: BlobStore, only: Platform | None = None
    ) -> tuple[Descriptor, tuple[Descriptor, ...]]:
        """Fetch all documents below *target*, or of an index *only* the manifest for a platform.

        Returns the top document, and the blobs to fetch. Raises like `resolve`.
        """
        by_digest = as_digest(target) is not None

        def at(remote: Remote) -> tuple[Descriptor, tuple[Descriptor, ...]]:
            documents = Documents(remote, blobs)
            found = documents.pin(target)
            found = documents.select(found, only) if only else found
            return found, documents.fetch_all(found)

        return first_good(self._servers.remotes(repository, by_digest=by_digest), at)

    def fetch_document(self, repository: str, target: str, blobs: BlobStore) -> Descriptor:
        """Fetch the index or manifest that *target* names, and nothing below it. Raises like `resolve`."""
        remotes = self._servers.remotes(repository, by_digest=as_digest(target) is not None)
        return first_good(remotes, lambda remote: Documents(remote, blobs).pin(target))

    def fetch(
        self,
        repository: str,
        descriptors: Sequence[Descriptor],
        blobs: BlobStore,
        progress: TransferProgress = no_progress,
        stop: threading.Event | None = None,
    ) -> None:
        """Fetch the blobs that are missing. When one fails permanently, the others are stopped.

        Partial downloads are kept and resumed by the next call, also of another process.

        Raises:
            DigestMismatch, SizeMismatch: the registry sent other content, which was not stored.
            RegistryError: the registry still failed after all retries, or *stop* was set.
        """
        fetch_blobs(self._servers.remotes(repository, by_digest=True), descriptors, blobs, progress, Stop(stop))

    def push(
        self,
        repository: str,
        tags: Sequence[str],
        descriptor: Descriptor,
        blobs: BlobStore,
        options: PushOptions | None = None,
    ) -> None:
        """Upload an image or an index with everything below it to a repository, and tag it there.

        The registry never shows an incomplete image, even after an interrupt; the next push does not upload again what
        it has.

        Raises:
            BlobNotFound, DigestMismatch, SizeMismatch: the image is not complete in the store, or damaged.
            RegistryError: the registry refuses it, or still failed after all retries.
        """
        for tag in tags:
            if as_digest(tag) is not None:
                raise RegistryError(f"cannot push to a digest: {tag}")
        push_image(self._servers.remotes(repository)[-1], descriptor, tags, blobs, options or PushOptions())

    def tags(self, repository: str) -> tuple[str, ...]:
        """Return the tags of a repository, following the pages of the list."""
        return list_tags(self._servers.remotes(repository)[-1])

    def referrers(self, repository: str, subject: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
        """Return the manifests that refer to *subject*, of one type or of all."""
        return list_referrers(self._servers.remotes(repository)[-1], subject, artifact_type)

    def ask(self, address: str) -> Reply:
        """Return the answer to GET of a path of the server, or of the address of another one, as of no repository."""
        client = self._servers.own_client()
        return self._servers.retry.run(lambda: client.send(Call(method="GET", url=address, scope=Scope())))

    def log_in(self) -> None:
        """Check the credentials with the registry.

        Raises:
            RegistryDenied: the credentials are wrong.
            RegistryError: they must not be sent to the server that asks for them, or the registry failed.
        """
        self._servers.retry.run(self._servers.own_client().check_credentials)


def open_registry(name: str, access: Access = AS_CONFIGURED) -> Registry:
    """Open a registry as this host and this user have configured it; *access* overrides that.

    Raises:
        RegistryError: a configuration file is invalid.
    """
    settings = replace(
        host_settings(os.environ, auth_file=access.auth_file),
        verify=access.verify,
        chosen_certificates=access.certificates,
    )
    return Registry(name, settings, access=access)
