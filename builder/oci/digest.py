"""Digests: the names of blobs (image-spec, descriptor.md, "Digests")."""

from typing import TYPE_CHECKING

from pybuild.builder.oci.errors import InvalidDigest, InvalidImage
from pybuild.runtime.values import positional

if TYPE_CHECKING:
    from pybuild.builder.oci.json_documents import Fields

_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = "0123456789abcdef"


@positional
class Digest:
    """An algorithm and a lower-case hexadecimal value of the right length; str() gives ``sha256:...``.

    Only `parse` and `of` make one, so the hex part is safe to use as a file name.
    """

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    def __lt__(self, other: "Digest") -> bool:
        return (self.algorithm, self.hex) < (other.algorithm, other.hex)

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Parse ``algorithm:hex``. Raises InvalidDigest for anything that is not a registered digest."""
        algorithm, _, value = text.partition(":")
        if _LENGTHS.get(algorithm) != len(value) or value.strip(_HEX):
            raise InvalidDigest(f"invalid digest {text[:200]!r}")
        return cls(algorithm, value)

    @classmethod
    def of(cls, content: bytes) -> "Digest":
        """Return the SHA-256 digest of *content*."""
        import hashlib  # commands about containers need none

        return cls("sha256", hashlib.sha256(content).hexdigest())


def read_digest(members: "Fields", key: str) -> Digest:
    """Return the digest in a member of a document, which must be there. Raises InvalidImage."""
    return _parse_member(members.text(key, required=True), members.at(key))


def read_digests(members: "Fields", key: str) -> tuple[Digest, ...]:
    """Return a list of digests in a member of a document; empty when absent. Raises InvalidImage."""
    return tuple(_parse_member(text, f"{members.at(key)}[{i}]") for i, text in enumerate(members.texts(key) or ()))


def _parse_member(text: str, path: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise InvalidImage(f"{path}: {error}") from None
