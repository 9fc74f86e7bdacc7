"""Finding the image of ``run`` and ``create``, and pulling it as ``--pull`` says."""

from pybuild.builder.cli.format.transfer import Meter
from pybuild.builder.cli.tools import note
from pybuild.builder.errors import PullFailed
from pybuild.builder.image.catalog import familiar, find_image
from pybuild.builder.oci.errors import ImageNotFound, OtherPlatform
from pybuild.builder.oci.image import Image, host_platform
from pybuild.builder.platforms import given_platform, platform_of
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import parse_reference

ALWAYS, MISSING, NEVER = "always", "missing", "never"
"""The policies, of which the second is usual, as in Docker."""


def find_or_pull(store: Store, name: str, policy: str, platform: str | None, *, quiet: bool = False) -> Image:
    """Return the image *name*, pulled if the *policy* is ALWAYS, or MISSING and the store has none for *platform*.

    The caller uses the store (`Store.in_use`).

    Raises:
        ImageNotFound: the store has none, and is to do without the registry.
        PullFailed: the registry has none, or does not answer.
    """
    if policy == ALWAYS:
        _pull(store, name, platform, quiet=quiet)
    try:
        return _found(store, name, platform)
    except OtherPlatform as error:
        if policy != MISSING:
            raise
        if not quiet:
            note(str(error))
        try:
            _pull(store, name, platform, quiet=quiet)
        except PullFailed as failure:
            raise PullFailed(failure.message, hint=f"the image in the store: {error.hint}") from failure
    except ImageNotFound:
        if policy != MISSING:
            raise
        if not quiet:
            note(f"Unable to find image '{familiar(str(parse_reference(name)))}' locally")
        _pull(store, name, platform, quiet=quiet)
    return _found(store, name, platform)


def _found(store: Store, name: str, platform: str | None) -> Image:
    """Return the image of the store; say when it is for another platform than this host and none was asked for."""
    image = find_image(store, name, given_platform(platform))
    own, host = platform_of(image.config), host_platform()
    if platform is None and own and image.config.architecture != host.architecture:
        note(
            f"WARNING: The requested image's platform ({own}) does not match the detected host platform ({host})"
            " and no specific platform was requested"
        )
    return image


def _pull(store: Store, name: str, platform: str | None, *, quiet: bool) -> None:
    # Imported here because a command that pulls nothing does not need the modules about registries.
    from pybuild.builder.oci.registry.access import Access
    from pybuild.builder.oci.registry.registry import open_registry
    from pybuild.builder.transports.pull import Pulling, pull
    from pybuild.builder.transports.source import Choice

    reference = parse_reference(name)
    meter = Meter("downloading", quiet=quiet)
    with open_registry(reference.registry, Access(tell=note)) as registry:
        try:
            pull(store, registry, reference, Choice(platform=given_platform(platform)), Pulling(status=meter))
        finally:
            meter.clear()
        for text in registry.warnings:
            note(text)
