"""Media types: their names, equivalents, and the compression of layers."""

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = DOCKER_LAYER + ".gzip"
DOCKER_LAYER_ZSTD = DOCKER_LAYER + ".zstd"

SCHEMA1 = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)

INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

_GZIP, _ZSTD, _PLAIN = "gzip", "zstd", "uncompressed"

# Layers "that must not be distributed" are old names for the same content (image-spec, layer.md).
_COMPRESSIONS = {
    OCI_LAYER: _PLAIN,
    OCI_LAYER_GZIP: _GZIP,
    OCI_LAYER_ZSTD: _ZSTD,
    "application/vnd.oci.image.layer.nondistributable.v1.tar": _PLAIN,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": _GZIP,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": _ZSTD,
    DOCKER_LAYER: _PLAIN,
    DOCKER_LAYER_GZIP: _GZIP,
    DOCKER_LAYER_ZSTD: _ZSTD,
    "application/vnd.docker.image.rootfs.foreign.diff.tar": _PLAIN,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": _GZIP,
}
_OCI_LAYERS = {_PLAIN: OCI_LAYER, _GZIP: OCI_LAYER_GZIP, _ZSTD: OCI_LAYER_ZSTD}
_DOCKER_LAYERS = {_PLAIN: DOCKER_LAYER, _GZIP: DOCKER_LAYER_GZIP, _ZSTD: DOCKER_LAYER_ZSTD}
_TO_OCI = {DOCKER_INDEX: OCI_INDEX, DOCKER_MANIFEST: OCI_MANIFEST, DOCKER_CONFIG: OCI_CONFIG}
_TO_DOCKER = {ours: theirs for theirs, ours in _TO_OCI.items()}


def layer_compression(media_type: str) -> str | None:
    """Return ``gzip``, ``zstd`` or ``uncompressed``; None when *media_type* is not that of a layer."""
    return _COMPRESSIONS.get(media_type)


def oci_layer(compression: str) -> str:
    """Return the OCI media type of a layer that is compressed in this way."""
    return _OCI_LAYERS[compression]


def to_oci(media_type: str) -> str:
    """Return the OCI equivalent of a Docker media type; any other is returned unchanged."""
    compression = layer_compression(media_type)
    if compression is not None:
        return oci_layer(compression)
    return _TO_OCI.get(media_type, media_type)


def to_docker(media_type: str) -> str:
    """Return the Docker equivalent of an OCI media type; any other is returned unchanged."""
    compression = layer_compression(media_type)
    if compression is not None:
        return _DOCKER_LAYERS[compression]
    return _TO_DOCKER.get(media_type, media_type)
