"""``pybuild manifest annotate``: change the entries of an index."""

from collections.abc import Iterable
from dataclasses import replace

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.manifest.inspect import elsewhere, fetch_document
from pybuild.builder.cli.tools import say, store, warn
from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import find
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import ImageNotFound, OciError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.model import Descriptor, Index
from pybuild.builder.oci.registry.access import AS_CONFIGURED
from pybuild.builder.request.checks import full_names
from pybuild.builder.store.store import Store
from pybuild.builder.transports.entries import EntryChange, changed_entry


@click.command("annotate", cls=Command, short_help="Change the entry of an image in an index.")
@click.argument("name")
@click.argument("image", metavar="PLATFORM|DIGEST|IMAGE")
@click.option("--os", default="", metavar="OS", help="Set the operating system.")
@click.option("--arch", "architecture", default="", metavar="ARCH", help="Set the architecture.")
@click.option("--variant", default="", metavar="VARIANT", help="Set the variant of the architecture.")
@click.option("--os-version", default="", metavar="VERSION", help="Set the version of the operating system.")
@click.option(
    "--os-features",
    multiple=True,
    metavar="FEATURE",
    help="Set a feature of the operating system; repeatable, or separated by commas.",
)
@click.option(
    "--annotation",
    "annotations",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an annotation of the entry; repeatable.",
)
@root_option
def annotate(name: str, image: str, annotations: tuple[str, ...], os_features: tuple[str, ...], **texts: str) -> None:
    """Change the entry of an image in the index NAME of the store, and print the new digest of the index.

    The entry is found by its platform, by its digest, or by the name of the image in the store or in a registry. The
    image itself is not changed.
    """
    (full,) = full_names((name,))
    change = EntryChange(annotations=pairs(annotations), os_features=_each(os_features), **texts)
    opened = store()
    try:
        with opened.in_use():
            index = index_of(opened, find(opened, full).descriptor, name)
            digest = meant(opened, index, image)
            changed = changed_entry(index, digest, change)
            written = opened.blobs.put(changed.to_json(), changed.media_type)
            opened.layout.tag(full, written)
            _compare(opened, next(entry for entry in changed.manifests if entry.digest == digest))
    finally:
        opened.close()
    say(str(written.digest))


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return what ``KEY=VALUE`` texts say. Raises RequestError."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise RequestError(f"invalid annotation {text!r}, expected KEY=VALUE")
        found[key] = value
    return found


def _each(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, ",".join(texts).split(",")))


def index_of(opened: Store, descriptor: Descriptor, name: str) -> Index:
    """Return the index that *descriptor* names. Raises RequestError when it is none."""
    if descriptor.media_type not in media.INDEXES:
        raise RequestError(f"{name} is an image for one platform, not an index", hint="pybuild manifest create")
    return Index.from_json(opened.blobs.read(descriptor), f"index {descriptor.digest}")


def meant(opened: Store, index: Index, text: str) -> Digest:
    """Return the digest that *text* means. Whether the index lists it is not checked."""
    named = [entry.digest for entry in index.manifests if text in {str(entry.platform), str(entry.digest)}]
    if len(named) == 1:
        return named[0]
    if named:
        raise RequestError(f"the index has several images for {text}", hint="name a digest")
    try:
        return find(opened, text).descriptor.digest
    except ImageNotFound:
        reference = elsewhere(text)
        if reference is None:
            raise
        return fetch_document(opened, reference, AS_CONFIGURED).digest


def _compare(opened: Store, entry: Descriptor) -> None:
    """Warn when an entry of an index and its image name different platforms."""
    try:
        config = read_image(opened.blobs, replace(entry, platform=None)).config
    except OciError:
        return
    if entry.platform and (config.os, config.architecture) != (entry.platform.os, entry.platform.architecture):
        said = f"{config.os}/{config.architecture}"
        warn(f"the platform of the image itself is {said}; pybuild mutate --set-platform changes that")
