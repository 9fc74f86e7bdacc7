"""A cache in a registry: ``ref=NAME``, a manifest of its own or in the config of an image."""

from collections.abc import Iterable

from pybuild.builder.caches.document import CONFIG_TYPE, DOCUMENT_LIMIT, Remembered
from pybuild.builder.caches.manifest import read_caches, write_manifest
from pybuild.builder.caches.places import RegistryCache, Status, Tell, ignore_progress, telling
from pybuild.builder.oci import media
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.registry import Registry, open_registry
from pybuild.builder.oci.registry.transfer.push import PushOptions
from pybuild.builder.store.registries import access_of
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import DEFAULT_TAG, parse_reference

_READ = {CONFIG_TYPE} | media.CONFIGS


class RegistryPlace:
    """A tag of a repository."""

    def __init__(self, spec: RegistryCache) -> None:
        self.name = spec.ref
        self._reference = parse_reference(self.name)
        self._insecure = spec.insecure

    def load(self, store: Store, tell: Tell = ignore_progress) -> Remembered:
        """Fetch the documents of the cache."""
        name = self._reference
        with self._open(store, tell) as registry:
            pinned, blobs = registry.resolve_all(name.repository, name.digest or name.tag or DEFAULT_TAG, store.blobs)
            documents = [blob for blob in blobs if blob.media_type in _READ and blob.size <= DOCUMENT_LIMIT]
            registry.fetch(name.repository, documents, store.blobs)
        return read_caches(pinned, store.blobs)

    def fetch(self, blobs: Iterable[Descriptor], store: Store, status: Status) -> None:
        """Download layers."""
        with self._open(store, telling(status)) as registry:
            registry.fetch(self._reference.repository, tuple(blobs), store.blobs, status)

    def keep(self, remembered: Remembered, store: Store, status: Status) -> None:
        """Upload missing blobs, then the tag."""
        descriptor = write_manifest(remembered, store.blobs)
        tag = self._reference.tag or DEFAULT_TAG
        with self._open(store, telling(status)) as registry:
            registry.push(self._reference.repository, (tag,), descriptor, store.blobs, PushOptions(progress=status))

    def _open(self, store: Store, tell: Tell) -> Registry:
        return open_registry(self._reference.registry, access_of(store, tell, insecure=self._insecure))
