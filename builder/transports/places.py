"""Places of images: sources and targets of a copy, in the notation of skopeo and podman.

    docker://REFERENCE   oci:DIR[:NAME]   oci-archive:FILE[:NAME]   docker-archive:FILE[:REFERENCE]   NAME

A path ends at the first colon. A text without a transport is a name in the store.
"""

from dataclasses import dataclass
from pathlib import Path

from pybuild.builder.errors import RequestError
from pybuild.grammar.reference import InvalidReference, Reference, parse_reference

_OTHERS = ("dir", "docker-daemon", "containers-storage", "sif", "ostree", "tarball")
_KNOWN = "docker://REFERENCE, oci:DIR, oci-archive:FILE, docker-archive:FILE, or the name of an image in the store"


@dataclass(frozen=True, slots=True, kw_only=True)
class InStore:
    """An image of the store, by name, or as a source also by ID."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InRegistry:
    """An image of a registry."""

    reference: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class InDirectory:
    """An image of an OCI layout; *name* is "" for the only one, or for one without a name."""

    path: Path
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InArchive:
    """An image of an archive; *docker*: in the format that docker load reads."""

    path: Path
    name: str = ""
    docker: bool


Place = InStore | InRegistry | InDirectory | InArchive


def parse_place(text: str) -> Place:
    """Return the place that *text* names. Raises RequestError."""
    if text.startswith("docker://"):
        return InRegistry(reference=_reference(text.removeprefix("docker://")))
    scheme, _, rest = text.partition(":")
    path, _, name = rest.partition(":")
    if scheme == "oci":
        return InDirectory(path=_path(text, path), name=name)
    if scheme in {"oci-archive", "docker-archive"}:
        docker = scheme == "docker-archive"
        full = str(_reference(name)) if docker and name else name
        return InArchive(path=_path(text, path), name=full, docker=docker)
    if scheme in _OTHERS or "://" in text:
        raise RequestError(f"{text}: unknown transport", hint=f"use {_KNOWN}")
    return InStore(name=text)


def _path(text: str, path: str) -> Path:
    if not path:
        raise RequestError(f"{text}: the path is missing")
    return Path(path)


def _reference(text: str) -> Reference:
    try:
        return parse_reference(text)
    except InvalidReference as error:
        raise RequestError(f"{text}: {error}") from error
