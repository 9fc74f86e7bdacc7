"""Names of cache mounts: directories of the store and entries of shared caches are called by them, today and later."""

import pytest

from pybuild.builder.execute.cache_mounts import cache_name, origin
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.cache import BuiltLayer, Layers
from tests.helpers.resolving import step_of

A, B = (Digest.of(text) for text in (b"a", b"b"))
LAYERS = Layers([BuiltLayer(A, B, 3, media.OCI_LAYER), BuiltLayer(B, A, 6, media.OCI_LAYER_GZIP)])
CHAIN = "sha256:51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676"


@pytest.mark.parametrize(
    ("mount", "name"),
    [
        ("target=/c", "cache mount /c"),
        ("target=c,sharing=private,ro", "cache mount c"),
        ("target=/c,id=i", "cache mount i"),
        ("target=/c,mode=0700,uid=1,gid=2", "cache mount /c 448 1:2"),
        ("target=/c,uid=1", "cache mount /c None 1:0"),
        ("target=/c,from=base,source=/s/", f"cache mount /c from {CHAIN} /s"),
    ],
)
def test_name_of_a_cache_mount(mount: str, name: str) -> None:
    (found,) = step_of(f"WORKDIR /w\nRUN --mount=type=cache,{mount} true").op.mounts
    assert cache_name(found) + origin(found, LAYERS) == name


def test_a_beginning_without_layers() -> None:
    (found,) = step_of("RUN --mount=type=cache,target=/c,from=base true").op.mounts
    assert origin(found, Layers()) == " from nothing /"
