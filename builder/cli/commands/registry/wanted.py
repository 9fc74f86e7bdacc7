"""The image of ``run`` and ``create``: pulled before, if ``--pull`` says so."""

from pybuild.builder.cli.format.transfer import Meter
from pybuild.builder.cli.tools import note
from pybuild.builder.image.catalog import familiar, find_image
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.platforms import given_platform, wanted_platform
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import parse_reference


def pull_wanted(store: Store, image: str, policy: str | None, platform: str | None) -> None:
    """Pull *image* when *policy* is ``always``, or ``missing`` and the store has none. Raises PullFailed."""
    if policy in {None, "never"} or (policy == "missing" and _is_there(store, image, platform)):
        return
    # A command that pulls nothing is spared all that knows of registries.
    from pybuild.builder.oci.registry.access import Access
    from pybuild.builder.oci.registry.registry import open_registry
    from pybuild.builder.transports.pull import Pulling, pull

    reference = parse_reference(image)
    if policy == "missing":
        note(f"Unable to find image '{familiar(str(reference))}' locally")
    meter = Meter("downloading", quiet=False)
    with store.in_use(), open_registry(reference.registry, Access(tell=note)) as registry:
        try:
            pull(store, registry, reference, given_platform(platform), Pulling(status=meter))
        finally:
            meter.clear()
        for text in registry.warnings:
            note(text)


def _is_there(store: Store, image: str, platform: str | None) -> bool:
    try:
        with store.in_use():
            find_image(store, image, wanted_platform(platform) if platform else None)
    except ImageNotFound:
        return False
    return True
