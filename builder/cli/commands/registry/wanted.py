"""Finding the image of ``run`` and ``create``, and pulling it as ``--pull`` says."""

from pybuild.builder.cli.format.transfer import Meter
from pybuild.builder.cli.tools import note
from pybuild.builder.image.catalog import familiar, find_image
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.oci.image import Image
from pybuild.builder.platforms import given_platform, wanted_platform
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import parse_reference

ALWAYS, MISSING, NEVER = "always", "missing", "never"
"""The policies, of which the second is usual, as in Docker."""


def find_wanted(store: Store, name: str, policy: str, platform: str | None, *, quiet: bool = False) -> Image:
    """Return the image *name*, pulled if the *policy* is ALWAYS, or MISSING and the store has none.

    The caller uses the store (`Store.in_use`).

    Raises:
        ImageNotFound: the store has none, and is to do without the registry.
        PullFailed: the registry has none, or does not answer.
    """
    wanted = wanted_platform(platform) if platform else None
    if policy == ALWAYS:
        _pull(store, name, platform, quiet=quiet)
    try:
        return find_image(store, name, wanted)
    except ImageNotFound:
        if policy != MISSING:
            raise
    if not quiet:
        note(f"Unable to find image '{familiar(str(parse_reference(name)))}' locally")
    _pull(store, name, platform, quiet=quiet)
    return find_image(store, name, wanted)


def _pull(store: Store, name: str, platform: str | None, *, quiet: bool) -> None:
    # Imported here because a command that pulls nothing does not need the modules about registries.
    from pybuild.builder.oci.registry.access import Access
    from pybuild.builder.oci.registry.registry import open_registry
    from pybuild.builder.transports.pull import Pulling, pull

    reference = parse_reference(name)
    meter = Meter("downloading", quiet=quiet)
    with open_registry(reference.registry, Access(tell=note)) as registry:
        try:
            pull(store, registry, reference, given_platform(platform), Pulling(status=meter))
        finally:
            meter.clear()
        for text in registry.warnings:
            note(text)
