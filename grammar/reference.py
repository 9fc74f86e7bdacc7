"""Image references: ``registry/repository:tag@digest``, with short names completed as in Docker.

``alpine`` is ``docker.io/library/alpine:latest``. The first component is a registry when it holds a dot, a colon or a
capital letter, or is ``localhost``; everything else is on Docker Hub.
"""

import re
from typing import NamedTuple

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"

_OLD_REGISTRY = "index.docker.io"
_OFFICIAL = "library/"
# Docker's limit, without tag and digest.
_LONGEST_REPOSITORY = 255
# More than host, repository, tag and digest can have together; it keeps malicious lengths from the patterns.
_LONGEST = 2048

_LABEL = "[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<registry>{_HOST})/(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_IMAGE_ID = re.compile("[a-f0-9]{64}")
_DIGEST_SIZES = {"sha256": 64, "sha384": 96, "sha512": 128}


class InvalidReference(ValueError):
    """An invalid name of an image; the message is Docker's."""


class Reference(NamedTuple):
    """The full name of an image. *tag* is None only beside a digest."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{self._version()}"

    def familiar(self) -> str:
        """Return the name as users of Docker write it: without ``docker.io/library/``, with the tag."""
        if self.registry != DEFAULT_REGISTRY:
            return str(self)
        short = self.repository.removeprefix(_OFFICIAL)
        return (self.repository if "/" in short else short) + self._version()

    def _version(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return tag + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Parse the name of an image, and complete it like Docker.

    Raises:
        InvalidReference: it is not a valid name. The message names capital letters in the repository as the reason.
    """
    if _IMAGE_ID.fullmatch(text):
        raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    if len(text) > _LONGEST:
        raise InvalidReference("invalid reference format")
    registry, rest = _split_registry(text)
    repository = rest.partition(":")[0]
    if repository != repository.lower():
        raise InvalidReference(f"invalid reference format: repository name ({repository}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{registry}/{rest}")
    if match is None:
        raise InvalidReference("invalid reference format")
    if len(match["repository"]) > _LONGEST_REPOSITORY:
        raise InvalidReference(f"repository name must not be more than {_LONGEST_REPOSITORY} characters")
    if match["digest"]:
        _check_digest(match["digest"])
    tag = match["tag"] or (None if match["digest"] else DEFAULT_TAG)
    return Reference(match["registry"], match["repository"], tag, match["digest"])


def _split_registry(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash or not _is_registry(first):
        registry, rest = DEFAULT_REGISTRY, text
    else:
        registry = DEFAULT_REGISTRY if first == _OLD_REGISTRY else first
    if registry == DEFAULT_REGISTRY and "/" not in rest:
        rest = _OFFICIAL + rest
    return registry, rest


def _is_registry(first: str) -> bool:
    # No part of a repository has a capital letter, so one that has is a host.
    return first == "localhost" or "." in first or ":" in first or first != first.lower()


def _check_digest(digest: str) -> None:
    algorithm, _, encoded = digest.partition(":")
    if algorithm not in _DIGEST_SIZES:
        raise InvalidReference("unsupported digest algorithm")
    if len(encoded) != _DIGEST_SIZES[algorithm]:
        raise InvalidReference("invalid checksum digest length")
    if encoded != encoded.lower():
        raise InvalidReference("invalid checksum digest format")
