from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.registry import Registry
from tests.helpers.registry import APP, FakeRegistry


def test_tags_are_listed_page_by_page(
    registry: Registry, server: FakeRegistry, source: BlobStore, image: Image
) -> None:
    for number in range(5):
        server.add(source, APP, f"v{number}", image.descriptor)
    assert registry.tags(APP) == ("1.0", "v0", "v1", "v2", "v3", "v4")
    assert server.paths().count(f"/v2/{APP}/tags/list") == 3
