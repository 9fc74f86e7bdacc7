"""The OCI documents as frozen values: descriptors, manifests, indexes; the image config is in `image_config`.

Each document has ``to_json``, which writes what Go's structs of the image-spec write, and ``from_json``, which checks
everything that a later step relies on, so a value of these types can be trusted. A document of others is kept as the
bytes that its digest names; serializing the parsed one need not give the same bytes.
"""

from collections.abc import Mapping

from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest, read_digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.image_config import ContainerConfig, Healthcheck, History, ImageConfig
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT, Fields, encode, parse_object
from pybuild.runtime.values import field, frozen

__all__ = [
    "DEFAULT_PATH",
    "ContainerConfig",
    "Descriptor",
    "Healthcheck",
    "History",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "chain_ids",
]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a config without a PATH means."""


@frozen
class Platform:
    """The platform of an image, in Go's names: ``linux``, ``amd64``."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


@frozen
class Descriptor:
    """The reference to a blob: its media type, digest and exact size."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    """Other URLs of the content; never used, kept only for writing the document again."""
    artifact_type: str = ""


@frozen
class Manifest:
    """One image for one platform: its config and its layers, the lowest first."""

    media_type: str = media.OCI_MANIFEST
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    subject: Descriptor | None = None
    artifact_type: str = ""

    def to_json(self) -> bytes:
        """Return the document."""
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                **_member("artifactType", self.artifact_type),
                "config": _descriptor_json(self.config),
                "layers": [_descriptor_json(layer) for layer in self.layers],
                **({} if self.subject is None else {"subject": _descriptor_json(self.subject)}),
                **_member("annotations", dict(sorted(self.annotations.items()))),
            }
        )

    @classmethod
    def from_json(cls, raw: bytes, context: str = "manifest") -> "Manifest":
        """Parse and check a manifest. Raises InvalidImage for anything that could also be read as an index."""
        fields = _parse_document(raw, context, kinds=media.MANIFESTS, never="manifests")
        subject = fields.nested("subject")
        return cls(
            media_type=fields.text("mediaType") or media.OCI_MANIFEST,
            config=_descriptor(fields.required_nested("config")),
            layers=tuple(_descriptor(layer) for layer in fields.objects("layers")),
            annotations=fields.text_map("annotations"),
            subject=_descriptor(subject) if subject else None,
            artifact_type=fields.text("artifactType"),
        )


@frozen
class Index:
    """Manifests to choose from, usually one per platform; the entry point of a layout, too."""

    media_type: str = media.OCI_INDEX
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_json(self) -> bytes:
        """Return the document."""
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "manifests": [_descriptor_json(manifest) for manifest in self.manifests],
                **_member("annotations", dict(sorted(self.annotations.items()))),
            }
        )

    @classmethod
    def from_json(cls, raw: bytes, context: str = "index", *, limit: int = DOCUMENT_LIMIT) -> "Index":
        """Parse and check an index. Raises InvalidImage for anything that could also be read as a manifest."""
        fields = _parse_document(raw, context, kinds=media.INDEXES, never="layers config", limit=limit)
        if "manifests" not in fields.values:
            raise fields.error("manifests", "expected list, found nothing")
        return cls(
            media_type=fields.text("mediaType") or media.OCI_INDEX,
            manifests=tuple(_descriptor(manifest) for manifest in fields.objects("manifests")),
            annotations=fields.text_map("annotations"),
        )


def chain_ids(diff_ids: tuple[Digest, ...]) -> tuple[str, ...]:
    """Return the name of the tree after each layer (image-spec, config.md, "Layer ChainID")."""
    import hashlib  # commands about containers need none

    chain: list[str] = []
    for diff_id in diff_ids:
        link = f"{chain[-1]} {diff_id}".encode() if chain else b""
        chain.append(f"sha256:{hashlib.sha256(link).hexdigest()}" if chain else str(diff_id))
    return tuple(chain)


def _parse_document(
    raw: bytes, context: str, *, kinds: frozenset[str], never: str, limit: int = DOCUMENT_LIMIT
) -> Fields:
    """Parse a manifest or an index, refusing what another reader could take for the other kind (CVE-2021-41190)."""
    fields = parse_object(raw, context, limit=limit)
    if fields.integer("schemaVersion", required=True) != 2:
        raise fields.error("schemaVersion", "expected 2")
    media_type = fields.text("mediaType")
    if media_type and media_type not in kinds:
        raise fields.error("mediaType", f"unexpected media type {media_type[:100]!r}")
    # Go ignores the case of member names: to Docker, "Layers" would be a second list of layers.
    folded = [key.lower() for key in fields.values]
    if len(set(folded)) != len(folded) or any(key in folded for key in never.split()):
        raise InvalidImage(f"{context}: ambiguous: it can be read as a manifest and as an index")
    return fields


def _descriptor(fields: Fields) -> Descriptor:
    size = fields.integer("size", required=True)
    if not 0 <= size < 1 << 63:
        raise fields.error("size", "out of range")
    platform = fields.nested("platform")
    return Descriptor(
        media_type=fields.text("mediaType", required=True),
        digest=read_digest(fields, "digest"),
        size=size,
        urls=fields.texts("urls") or (),
        annotations=fields.text_map("annotations"),
        platform=_platform(platform) if platform else None,
        artifact_type=fields.text("artifactType"),
    )


def _platform(fields: Fields) -> Platform:
    return Platform(
        os=fields.text("os"),
        architecture=fields.text("architecture"),
        variant=fields.text("variant"),
        os_version=fields.text("os.version"),
        os_features=fields.texts("os.features") or (),
    )


def _descriptor_json(descriptor: Descriptor) -> dict[str, object]:
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
        **_member("urls", list(descriptor.urls)),
        **_member("annotations", dict(sorted(descriptor.annotations.items()))),
        **({} if descriptor.platform is None else {"platform": _platform_json(descriptor.platform)}),
        **_member("artifactType", descriptor.artifact_type),
    }


def _platform_json(platform: Platform) -> dict[str, object]:
    return {
        "architecture": platform.architecture,
        "os": platform.os,
        **_member("os.version", platform.os_version),
        **_member("os.features", list(platform.os_features)),
        **_member("variant", platform.variant),
    }


def _member(key: str, value: object) -> dict[str, object]:
    """Return the member, or nothing for an empty value, as with Go's ``omitempty``."""
    return {key: value} if value else {}
