"""``pybuild manifest inspect``: indexes and manifests, unchanged, from the store or a registry."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.access import access_options
from pybuild.builder.cli.tools import put, say, store
from pybuild.builder.errors import PullFailed
from pybuild.builder.image.catalog import find
from pybuild.builder.oci import media
from pybuild.builder.oci.errors import ImageNotFound, OciError
from pybuild.builder.oci.image import children
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Manifest, Platform
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.registry import open_registry
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import DEFAULT_REGISTRY, DEFAULT_TAG, InvalidReference, Reference, parse_reference

_REMOTE = "docker://"


@click.command("inspect", cls=Command, short_help="Show an index or a manifest as JSON.")
@click.argument("name", metavar="NAME|docker://NAME")
@click.option("--raw", is_flag=True, help="Print the bytes as they are stored.")
@click.option("-v", "--verbose", is_flag=True, help="Also show descriptors, and all manifests of an index.")
@access_options
@root_option
def inspect(name: str, *, raw: bool, verbose: bool, access: Access) -> None:
    """Show the index or the manifest of the image NAME, from the store if it has it, else from its registry.

    docker://NAME always asks the registry. Layers are not downloaded.
    """
    opened = store()
    try:
        with opened.in_use():
            descriptor = _descriptor(opened, name, access)
            content = opened.blobs.read(descriptor)
            found = _verbose(opened, descriptor, name.removeprefix(_REMOTE), access) if verbose else None
    finally:
        opened.close()
    if raw:
        put(content)
    else:
        say(json.dumps(found or json.loads(content), indent=4, ensure_ascii=False))


def elsewhere(text: str) -> Reference | None:
    """Return *text* as a reference when it names a registry; None when it does not, so that the store is meant."""
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return None
    named = reference.registry != DEFAULT_REGISTRY or text.startswith(f"{DEFAULT_REGISTRY}/")
    return reference if named else None


def fetch_document(opened: Store, reference: Reference, access: Access) -> Descriptor:
    """Fetch the index or the manifest that *reference* names in its registry. Raises PullFailed."""
    target = reference.digest or reference.tag or DEFAULT_TAG
    try:
        with open_registry(reference.registry, access) as registry:
            return registry.fetch_document(reference.repository, target, opened.blobs)
    except ImageNotFound as error:
        raise PullFailed(f"no such manifest: {reference}", hint=str(error)) from error
    except OciError as error:
        raise PullFailed(f"failed to read docker://{reference}: {error}", hint=error.hint) from error


def _descriptor(opened: Store, name: str, access: Access) -> Descriptor:
    if name.startswith(_REMOTE):
        return fetch_document(opened, parse_reference(name.removeprefix(_REMOTE)), access)
    try:
        return find(opened, name).descriptor
    except ImageNotFound:
        return fetch_document(opened, parse_reference(name), access)


def _verbose(opened: Store, descriptor: Descriptor, text: str, access: Access) -> Any:
    """Return what Docker shows: a document for a manifest, a list of those for an index."""
    try:
        reference = parse_reference(text)
    except InvalidReference:
        reference = None
    if descriptor.media_type not in media.INDEXES:
        raw = opened.blobs.read(descriptor)
        platform = _platform(opened, Manifest.from_json(raw), reference, access)
        return _document(str(reference or descriptor.digest), replace(descriptor, platform=platform), raw)
    return list(_entries(opened, descriptor, reference, access))


def _entries(opened: Store, index: Descriptor, reference: Reference | None, access: Access) -> Iterator[dict[str, Any]]:
    for entry in children(opened.blobs, index):
        if not opened.blobs.exists(entry.digest) and reference is not None:
            fetch_document(opened, reference._replace(digest=str(entry.digest)), access)
        name = f"{str(reference or index.digest).partition('@')[0]}@{entry.digest}"
        yield _document(name, entry, opened.blobs.read(entry))


def _platform(opened: Store, manifest: Manifest, reference: Reference | None, access: Access) -> Platform | None:
    """Return the platform that the config names. The config is small, and is fetched when the store lacks it."""
    if manifest.config.media_type not in media.CONFIGS:
        return None
    if not opened.blobs.exists(manifest.config.digest) and reference is not None:
        with open_registry(reference.registry, access) as registry:
            registry.fetch(reference.repository, [manifest.config], opened.blobs)
    config = ImageConfig.from_json(opened.blobs.read(manifest.config))
    return Platform(os=config.os, architecture=config.architecture, variant=config.variant)


def _document(name: str, descriptor: Descriptor, raw: bytes) -> dict[str, Any]:
    kind = "SchemaV2Manifest" if descriptor.media_type == media.DOCKER_MANIFEST else "OCIManifest"
    return {
        "Ref": name,
        "Descriptor": json.loads(Index(manifests=(descriptor,)).to_json())["manifests"][0],
        "Raw": base64.b64encode(raw).decode(),
        kind: json.loads(raw),
    }
