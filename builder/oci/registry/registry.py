"""Images from and to a registry (OCI distribution-spec), each byte verified.

A pull has two halves, because a build needs the documents of its base at once and the layers only when something reads
them: `Registry.resolve` fetches manifest and config and pins the digest of the tag; `Registry.fetch` fetches blobs. The
``urls`` of a manifest, other places for its content, are ignored.
"""

import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage, RegistryError, RegistryUnavailable
from pybuild.builder.oci.image import Image, host_platform, read_image
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Descriptor, Manifest, Platform
from pybuild.builder.oci.registry.access import AS_CONFIGURED, Access
from pybuild.builder.oci.registry.auth.tokens import Credentials, Scope
from pybuild.builder.oci.registry.client import Call, Client
from pybuild.builder.oci.registry.lists import list_tags
from pybuild.builder.oci.registry.mirrors import MirrorPlace
from pybuild.builder.oci.registry.settings import Settings, host_settings
from pybuild.builder.oci.registry.transfer.documents import Documents, as_digest
from pybuild.builder.oci.registry.transfer.download import fetch_blobs
from pybuild.builder.oci.registry.transfer.parallel import Lanes, Stop
from pybuild.builder.oci.registry.transfer.push import PushOptions, push_image
from pybuild.builder.oci.registry.transfer.referrers import list_referrers
from pybuild.builder.oci.registry.transfer.remote import Remote, TransferProgress, first_good, no_progress
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Reply, Timing
from pybuild.builder.oci.registry.wire.origin import Origin
from pybuild.builder.oci.registry.wire.retry import Retry

# distribution-spec, "Pulling manifests": the form of <name>.
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_MIRROR_ATTEMPTS = 2  # the registry itself is asked after them


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
        self._name, self._settings, self._access = name, settings or Settings(), access
        self._credentials = access.credentials
        self._retry = replace(retry or Retry(), tell=access.tell)
        self._timing = timing or Timing()
        # Without a given access, the registry has a set of failed mirrors of its own.
        self._passed_over = set[str]() if access is AS_CONFIGURED else access.passed_over
        self._lock = threading.Lock()
        self._clients: dict[MirrorPlace, tuple[Client, Lanes]] = {}
        self._insecure: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for client, _ in list(self._clients.values()):
            client.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the servers, from ``Warning`` headers."""
        return tuple(text for client, _ in list(self._clients.values()) for text in client.warnings)

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

        return first_good(self._remotes(repository, by_digest=by_digest), at)

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

        return first_good(self._remotes(repository, by_digest=by_digest), at)

    def fetch_document(self, repository: str, target: str, blobs: BlobStore) -> Descriptor:
        """Fetch the index or manifest that *target* names, and nothing below it. Raises like `resolve`."""
        remotes = self._remotes(repository, by_digest=as_digest(target) is not None)
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
        fetch_blobs(self._remotes(repository, by_digest=True), descriptors, blobs, progress, Stop(stop))

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
        push_image(self._remotes(repository)[-1], descriptor, tags, blobs, options or PushOptions())

    def tags(self, repository: str) -> tuple[str, ...]:
        """Return the tags of a repository, following the pages of the list."""
        return list_tags(self._remotes(repository)[-1])

    def referrers(self, repository: str, subject: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
        """Return the manifests that refer to *subject*, of one type or of all."""
        return list_referrers(self._remotes(repository)[-1], subject, artifact_type)

    def ask(self, address: str) -> Reply:
        """Return the answer to GET of a path of the server, or of the address of another one, as of no repository."""
        place = self._settings.places(self._name, "", by_digest=False)[-1]
        client, _ = self._client(MirrorPlace(place.registry, "", place.insecure))
        return self._retry.run(lambda: client.send(Call(method="GET", url=address, scope=Scope())))

    def log_in(self) -> None:
        """Check the credentials with the registry.

        Raises:
            RegistryDenied: the credentials are wrong.
            RegistryError: they must not be sent to the server that asks for them, or the registry failed.
        """
        place = self._settings.places(self._name, "", by_digest=False)[-1]
        client, _ = self._client(MirrorPlace(place.registry, "", place.insecure))
        self._retry.run(client.check_credentials)

    def _remotes(self, repository: str, *, by_digest: bool = False) -> tuple[Remote, ...]:
        """Return the places to look for a repository, the registry itself last; mirrors get fewer retries."""
        _check_name(repository)
        *mirrors, own = self._settings.places(self._name, repository, by_digest=by_digest)
        found = (*(place for place in mirrors if place.registry not in self._passed_over), own)
        for place in found:
            _check_name(place.repository)
        brief = replace(self._retry, attempts=min(_MIRROR_ATTEMPTS, self._retry.attempts), hung_attempts=1)
        return tuple(self._remote(place, self._retry if place is found[-1] else brief) for place in found)

    def _remote(self, place: MirrorPlace, retry: Retry) -> Remote:
        client, lanes = self._client(place)
        return Remote(
            client=client,
            repository=place.repository,
            retry=retry,
            lanes=lanes,
            no_answer=partial(self._pass_over, place.registry),
        )

    def _pass_over(self, mirror: str, error: RegistryUnavailable) -> None:
        """Do not ask a mirror again that did not answer: each stage of a build would wait for it again."""
        if mirror not in self._passed_over:
            self._passed_over.add(mirror)
            self._access.tell(f"the mirror {mirror} is not used any more: {error}")

    def _client(self, place: MirrorPlace) -> tuple[Client, Lanes]:
        with self._lock:
            if place not in self._clients:
                origins = self._settings.origins(place)
                if place.insecure:
                    self._insecure |= {f"{origin.host}:{origin.port}" for origin in origins}
                client = Client(
                    origins, self._tls, self._timing, lambda: self._who(place), self._settings.calls_insecure
                )
                self._clients[place] = (client, Lanes())
            return self._clients[place]

    def _who(self, place: MirrorPlace) -> Credentials | None:
        if self._credentials is not None and place.registry == self._name:
            return self._credentials
        return self._settings.credentials(place.registry, place.repository)

    def _tls(self, origin: Origin) -> Tls:
        return self._settings.tls(origin, self._insecure)


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


def _check_name(repository: str) -> None:
    if not _REPOSITORY.match(repository):
        raise RegistryError(f"invalid repository name {repository[:200]!r}")
