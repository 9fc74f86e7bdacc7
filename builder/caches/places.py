"""Where caches are kept: what ``--cache-from`` and ``--cache-to`` name, one class for each kind of place."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, Protocol, assert_never

from pybuild.builder.caches.document import Remembered
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.request import CacheSpec, Compression, checks
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import InvalidReference, parse_reference
from pybuild.runtime.values import frozen

__all__ = ["GhaCache", "InlineCache", "LocalCache", "RegistryCache"]
"""The kinds, which programs that embed pybuild find in `pybuild.request`."""

Status = Callable[[str, int, int], None]
"""Takes (what, bytes done, bytes in all)."""

Tell = Callable[[str], None]


def ignore_progress(_text: str) -> None:
    """Ignore the progress."""


def telling(status: Status) -> Tell:
    """Return a callback that passes a text on to *status*."""
    return lambda text: status(text, 0, 0)


@frozen
class Writing:
    """What ``--cache-to`` writes, and how."""

    everything: bool = False
    """``mode=max``: the steps of all stages, not only those of the image."""
    all_mounts: bool = False
    mounts: frozenset[str] = frozenset()
    """The IDs of the cache mounts to export, unless *all_mounts* is set."""
    ignore_error: bool = False
    compression: Compression | None = None
    """How layers are compressed; None keeps each as it is."""
    force_compression: bool = False
    """Compress even layers that are compressed in this way already."""

    def __post_init__(self) -> None:
        checks.types(self)
        if self.force_compression and self.compression is None:
            raise RequestError("force-compression needs compression=", hint="such as compression=zstd")


@frozen
class LocalCache(CacheSpec):
    """``type=local``: an OCI image layout in a directory. *digest* takes precedence over *tag*.

    With *reset* blobs that no tag reaches are removed, once no other process writes to the cache.
    """

    directory: Path
    tag: str = "latest"
    digest: Digest | None = None
    reset: bool = False
    writing: Writing = Writing()

    def __post_init__(self) -> None:
        checks.types(self)

    @property
    def pinned(self) -> bool:
        """Whether it has a digest."""
        return self.digest is not None


@frozen
class RegistryCache(CacheSpec):
    """``type=registry``: *ref* is the name of an image of its own, or of one with a cache in its config."""

    ref: str
    insecure: bool = False
    writing: Writing = Writing()

    def __post_init__(self) -> None:
        checks.types(self)
        try:
            parse_reference(self.ref)
        except InvalidReference as error:
            raise RequestError(f"invalid ref: {error}") from error

    @property
    def pinned(self) -> bool:
        """Whether *ref* has a digest."""
        return bool(parse_reference(self.ref).digest)


@frozen
class GhaCache(CacheSpec):
    """``type=gha``: the cache service of GitHub Actions. Fields that are "" or None come from the environment."""

    scope: str = "pybuild"
    timeout: float = 600.0
    """Seconds."""
    url: str = ""
    url_v2: str = ""
    token: str = ""
    version: int | None = None
    writing: Writing = Writing()

    def __post_init__(self) -> None:
        checks.types(self)
        # The service separates keys by commas and takes 512 characters; our own part of a key needs the rest.
        if not self.scope or "," in self.scope or len(self.scope) > 400:
            raise RequestError("invalid scope", hint="a scope has no commas and at most 400 characters")
        if not self.timeout >= 0:
            raise RequestError("timeout: a duration cannot be negative")
        if self.version not in {None, 1, 2}:
            raise RequestError(f"invalid version={self.version}", hint="use one of 1, 2")


@frozen
class InlineCache(CacheSpec):
    """``type=inline``: the cache is in the config of the image."""

    inline: ClassVar[bool] = True


KeptCache = LocalCache | RegistryCache | GhaCache
"""A cache that is stored on its own, not in an image."""


class CachePlace(Protocol):
    """One cache. Failures are OciError and OSError."""

    name: str
    """For messages."""

    def load(self, store: Store, tell: Tell = ignore_progress) -> Remembered:
        """Return the content of the cache without fetching layers. *tell* takes messages about waits."""
        ...

    def fetch(self, blobs: Iterable[Descriptor], store: Store, status: Status) -> None:
        """Fetch layers of the cache into the store, verified."""
        ...

    def keep(self, remembered: Remembered, store: Store, status: Status) -> None:
        """Replace the content of the cache."""
        ...


def kept(specs: Iterable[CacheSpec]) -> list[KeptCache]:
    """Return those of *specs* that are stored on their own."""
    return [spec for spec in specs if isinstance(spec, KeptCache)]


def place_of(spec: KeptCache) -> CachePlace:
    """Return the place that *spec* names."""
    match spec:
        case LocalCache():
            from pybuild.builder.caches.local import LocalPlace

            return LocalPlace(spec)
        case GhaCache():
            from pybuild.builder.caches.gha import GhaPlace

            return GhaPlace(spec)
        case RegistryCache():
            from pybuild.builder.caches.registry import RegistryPlace

            return RegistryPlace(spec)
        case _:
            assert_never(spec)
