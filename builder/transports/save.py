"""The images that go into an archive, and their names in it."""

from collections.abc import Callable, Iterable

from pybuild.builder.image.catalog import Listed, catalog, familiar, find
from pybuild.builder.oci.archive.save import Named
from pybuild.builder.oci.image import choose_manifest
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.oci.stored_index import whole_or_present
from pybuild.builder.store.store import Store


def chosen(store: Store, texts: Iterable[str], platform: Platform | None, tell: Callable[[str], None]) -> list[Named]:
    """Return each image once, with the names that were requested; *tell* takes warnings about omissions.

    Raises:
        ImageNotFound: one of *texts* does not name an image.
    """
    names: dict[str, list[str]] = {}
    descriptors = {}
    for text, found in [(asked, each) for asked in texts for each in _meant(store, asked)]:
        descriptor = _what(store, text, found.descriptor, platform, tell)
        descriptors[str(descriptor.digest)] = descriptor
        names.setdefault(str(descriptor.digest), []).extend([found.name] if found.name else [])
    return [(tuple(dict.fromkeys(names[key])), descriptor) for key, descriptor in descriptors.items()]


def _meant(store: Store, text: str) -> list[Listed]:
    """Return the entries that *text* names; as in Docker, a name without a tag means all its tags."""
    repository = [
        entry
        for entry in catalog(store)
        if entry.reference is not None and entry.reference.tag and familiar(entry.name).rpartition(":")[0] == text
    ]
    return repository or [find(store, text)]


def _what(
    store: Store, text: str, listed: Descriptor, platform: Platform | None, tell: Callable[[str], None]
) -> Descriptor:
    if platform:
        return choose_manifest(store.blobs, listed, platform)
    found = whole_or_present(store.blobs, listed)
    if found.digest != listed.digest:
        tell(f"{text}: the store does not have the images for all platforms; saving the one for {found.platform}")
    return found
