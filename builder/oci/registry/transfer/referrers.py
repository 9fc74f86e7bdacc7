"""Referrers of a manifest: signatures, attestations and other artifacts with a ``subject`` (distribution-spec 1.1).

A registry that knows the API lists them; for one that does not, clients keep the list in an index under the tag
``<algorithm>-<hex>`` of the subject ("Referrers Tag Schema").
"""

from collections.abc import Mapping
from dataclasses import replace

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import ImageNotFound, InvalidImage, RegistryError, RegistryUnavailable
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT
from pybuild.builder.oci.model import Descriptor, Index, Manifest
from pybuild.builder.oci.registry.transfer.documents import get_document, put_document
from pybuild.builder.oci.registry.transfer.remote import Remote

_KNOWN = "OCI-Subject"


def list_referrers(remote: Remote, subject: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
    """Return the referrers of *subject*, of one type or of all. Their documents are not fetched.

    Raises:
        RegistryError: the registry failed.
    """
    index = remote.retry.run(lambda: _ask(remote, subject))
    if index is None:
        index = remote.retry.run(lambda: _tagged(remote, subject))
    return tuple(item for item in index.manifests if not artifact_type or item.artifact_type == artifact_type)


def note_referrer(remote: Remote, descriptor: Descriptor, blobs: BlobStore, answer: Mapping[str, str]) -> None:
    """Add a manifest that was just pushed to the referrers of its subject, unless the registry did that."""
    manifest = Manifest.from_json(blobs.read(descriptor), f"manifest {descriptor.digest}")
    subject = manifest.subject
    if subject is None or answer.get(_KNOWN):
        return
    index = remote.retry.run(lambda: _tagged(remote, subject.digest))
    if any(item.digest == descriptor.digest for item in index.manifests):
        return
    entry = replace(
        descriptor,
        platform=None,
        annotations=manifest.annotations,
        artifact_type=manifest.artifact_type or manifest.config.media_type,
    )
    # Of two pushes at once one may overwrite the entry of the other; the specification has no lock for this tag.
    raw = replace(index, manifests=(*index.manifests, entry)).to_json()
    listed = Descriptor(media_type=media.OCI_INDEX, digest=Digest.of(raw), size=len(raw))
    put_document(remote, _tag(subject.digest), listed, raw)


def _ask(remote: Remote, subject: Digest) -> Index | None:
    """Ask the API; None when the registry does not know it. Some answer with a page for people then."""
    try:
        with remote.get(f"referrers/{subject}", headers={"Accept": media.OCI_INDEX}) as reply:
            if reply.headers.get("Content-Type", "").lower().startswith("text/html"):
                return None
            raw = reply.content(DOCUMENT_LIMIT)
    except RegistryUnavailable:
        raise
    except RegistryError as error:
        if error.status in {400, 404, 405}:
            return None
        raise
    if raw is None:
        raise InvalidImage(f"{remote.repository}: the list of referrers is larger than {DOCUMENT_LIMIT} bytes")
    return Index.from_json(raw, f"referrers of {subject}")


def _tagged(remote: Remote, subject: Digest) -> Index:
    try:
        raw, _ = get_document(remote, _tag(subject))
    except ImageNotFound:
        return Index(manifests=())
    return Index.from_json(raw, f"referrers of {subject}")


def _tag(subject: Digest) -> str:
    return f"{subject.algorithm}-{subject.hex}"
