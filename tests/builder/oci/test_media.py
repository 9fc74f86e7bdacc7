import pytest

from pybuild.builder.oci import media


@pytest.mark.parametrize(
    ("media_type", "compression"),
    [
        (media.OCI_LAYER, "uncompressed"),
        (media.OCI_LAYER_GZIP, "gzip"),
        (media.OCI_LAYER_ZSTD, "zstd"),
        (media.DOCKER_LAYER_GZIP, "gzip"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"),
        (media.OCI_CONFIG, None),
        ("application/vnd.in-toto+json", None),
    ],
)
def test_a_layer_says_how_it_is_compressed(media_type: str, compression: str | None) -> None:
    assert media.layer_compression(media_type) == compression


@pytest.mark.parametrize(
    ("docker", "oci"),
    [
        (media.DOCKER_INDEX, media.OCI_INDEX),
        (media.DOCKER_MANIFEST, media.OCI_MANIFEST),
        (media.DOCKER_CONFIG, media.OCI_CONFIG),
        (media.DOCKER_LAYER_GZIP, media.OCI_LAYER_GZIP),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", media.OCI_LAYER_GZIP),
        ("text/plain", "text/plain"),
    ],
)
def test_docker_types_have_an_oci_name(docker: str, oci: str) -> None:
    assert media.to_oci(docker) == oci
    assert media.to_oci(oci) == oci
