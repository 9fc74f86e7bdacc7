import pytest

from pybuild.builder.store.store import open_store
from tests.helpers.fake_execute import Site
from tests.helpers.images import tiny_image


@pytest.fixture
def site(tmp_path):
    store = open_store(tmp_path / "store")
    image = tiny_image(store.blobs, {"bin/sh": b"#!", "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n"})
    store.layout.tag("docker.io/library/base:latest", image.descriptor)
    context = tmp_path / "context"
    context.mkdir()
    yield Site(store=store, context=context)
    store.close()
