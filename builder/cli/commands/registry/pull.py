"""``pybuild pull``: an image from its registry into the store."""

import click

from pybuild.builder.cli.command import Command, is_written, root_option
from pybuild.builder.cli.flags.access import access_options
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.flags.no_op import RETRY, TRUST, add_no_op_flags
from pybuild.builder.cli.format.transfer import Meter, short
from pybuild.builder.cli.image_events import log_image_event
from pybuild.builder.cli.tools import say, store, warn
from pybuild.builder.errors import PullFailed, RequestError
from pybuild.builder.image.catalog import familiar
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.registry import Registry, open_registry
from pybuild.builder.platforms import given_platform
from pybuild.builder.store.store import Store
from pybuild.builder.transports.pull import Pulling, pull
from pybuild.builder.transports.source import Choice
from pybuild.grammar.reference import DEFAULT_TAG, Reference, parse_reference
from pybuild.runtime.values import frozen


@frozen
class PullFlags:
    """What is downloaded, and when the registry is asked."""

    all_tags: bool = option("-a", "--all-tags", is_flag=True, help="Download all tags of the repository.")
    platform: str | None = option(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        envvar="DOCKER_DEFAULT_PLATFORM",
        help="Platform to take from a multi-platform image (default: $DOCKER_DEFAULT_PLATFORM, else this host's).",
    )
    all_platforms: bool = option("--all-platforms", is_flag=True, help="Download a multi-platform image as a whole.")
    policy: str = option(
        "--policy",
        type=click.Choice(["always", "missing", "never", "newer"]),
        default="always",
        help="When to ask the registry (default: always); newer uses the store when the registry does not answer.",
    )


@click.command("pull", cls=Command)
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
@takes(PullFlags, "flags")
@add_no_op_flags(*RETRY, *TRUST)
@access_options
@click.option("-q", "--quiet", is_flag=True, help="Print the full name only.")
@root_option
def command(name: str, *, flags: PullFlags, access: Access, quiet: bool) -> None:
    """Download an image and keep it in the store under its name.

    Layers that the store has are not downloaded again, and interrupted downloads are resumed. Mirrors, certificates
    and credentials are read from the configuration files of Docker and Podman.
    """
    reference = parse_reference(name)
    if flags.all_tags and (reference.digest or _has_tag(name, reference)):
        raise RequestError("tag can't be used with --all-tags/-a")
    if flags.all_platforms and flags.platform and is_written("platform"):
        raise RequestError("--platform can't be used with --all-platforms")
    platform = None if flags.all_platforms else flags.platform
    opened = store()
    try:
        if not flags.all_tags and _is_enough(opened, reference, flags.policy):
            say(str(reference))
            return
        with opened.in_use(), open_registry(reference.registry, access) as registry:
            tags = registry.tags(reference.repository) if flags.all_tags else ()
            if not flags.all_tags and not reference.digest and not _has_tag(name, reference) and not quiet:
                say(f"Using default tag: {DEFAULT_TAG}")
            for wanted in [reference._replace(tag=tag) for tag in tags] or [reference]:
                one = _Pull(opened, registry, wanted, quiet=quiet)
                try:
                    one.run(Choice(everything=flags.all_platforms, platform=given_platform(platform)))
                except PullFailed as error:
                    if flags.policy != "newer" or opened.layout.resolve(str(wanted)) is None:
                        raise
                    warn(f"{error}; the store has one")
            for text in registry.warnings:
                warn(text)
    finally:
        opened.close()


def _is_enough(opened: Store, reference: Reference, policy: str) -> bool:
    """Return whether the image of the store is used without asking a registry. Raises ImageNotFound."""
    found = opened.layout.resolve(str(reference)) is not None
    if policy == "never" and not found:
        raise ImageNotFound(f"No such image: {familiar(str(reference))}", hint="--policy=never asks no registry")
    return found and policy in {"missing", "never"}


def _has_tag(text: str, reference: Reference) -> bool:
    return reference.tag is not None and text.partition("@")[0].endswith(f":{reference.tag}")


class _Pull:
    """The download of one reference, and the lines that are printed about it."""

    def __init__(self, opened: Store, registry: Registry, reference: Reference, *, quiet: bool) -> None:
        self._store, self._registry, self._reference = opened, registry, reference
        self._quiet = quiet
        self._meter = Meter("downloading", quiet=quiet)

    def run(self, choice: Choice) -> None:
        name = self._reference
        self._tell(f"{name.digest or name.tag or DEFAULT_TAG}: Pulling from {name.repository}")
        reporting = Pulling(status=self._meter, ended=self._end)
        try:
            pulled = pull(self._store, self._registry, name, choice, reporting)
        finally:
            self._meter.clear()
        self._tell(f"Digest: {pulled.descriptor.digest}")
        log_image_event(self._store, "pull", familiar(str(name)))
        state = "Downloaded newer image for" if pulled.newer else "Image is up to date for"
        self._tell(f"Status: {state} {familiar(str(name))}")
        say(str(name))

    def _end(self, blob: Descriptor, outcome: str) -> None:
        self._meter.clear()
        self._tell(f"{short(str(blob.digest))}: {outcome}")

    def _tell(self, text: str) -> None:
        if not self._quiet:
            say(text)
