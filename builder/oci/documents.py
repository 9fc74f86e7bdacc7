"""Finding out the kind of a document from an untrusted source: a registry or an archive."""

from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.json_documents import parse_object
from pybuild.builder.oci.model import Descriptor, Index, Manifest

_KNOWN = media.INDEXES | media.MANIFESTS


def describe(raw: bytes, digest: Digest, declared: str = "") -> Descriptor:
    """Return the descriptor of a manifest or an index, fully checked; *declared* is a Content-Type, or empty.

    Raises:
        InvalidImage: it is neither, it could be both, it is of the obsolete schema 1, or it is not of the declared
            type.
    """
    fields = parse_object(raw, f"document {digest}")
    declared = declared.partition(";")[0].strip().lower()
    if declared in media.SCHEMA1 or fields.integer("schemaVersion") == 1:
        raise InvalidImage(
            f"{digest} is a manifest of Docker's schema 1, which has no verifiable config",
            hint="push the image again with a current tool",
        )
    found = fields.text("mediaType")
    if not found:
        shape = media.OCI_INDEX if "manifests" in fields.values else media.OCI_MANIFEST
        found = declared if declared in _KNOWN else shape
    if declared in _KNOWN and declared != found:
        raise InvalidImage(f"{digest}: declared as {declared!r}, but the document says {found[:100]!r}")
    if found in media.INDEXES:
        Index.from_json(raw, f"index {digest}")
    elif found in media.MANIFESTS:
        Manifest.from_json(raw, f"manifest {digest}")
    else:
        raise InvalidImage(f"{digest}: unknown kind of document {found[:100]!r}")
    return Descriptor(media_type=found, digest=digest, size=len(raw))
