import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.platforms import open_trees
from pybuild.builder.store.store import Store
from tests.helpers.images import ARM64, tiny_image, tiny_index
from tests.helpers.leftovers import descriptors_below


def index_of(store: Store, second: str) -> Descriptor:
    images = (tiny_image(store.blobs, {"a/f": b"1"}), tiny_image(store.blobs, {second: b"2"}, platform=ARM64))
    return tiny_index(store.blobs, *images)


def opened(store: Store, descriptor: Descriptor, *, split: bool | None = None) -> list[tuple[str, str]]:
    with open_trees(descriptor, store, split=split) as trees:
        return [(tree.directory, tree.platform) for tree in trees]


def test_an_index_has_a_directory_for_each_platform_and_an_image_has_none(store: Store) -> None:
    index = index_of(store, "a/f")
    assert opened(store, index) == [("linux_amd64", "linux/amd64"), ("linux_arm64", "linux/arm64")]
    image = tiny_image(store.blobs, {"a": b"1"}).descriptor
    assert opened(store, image) == [("", "linux/amd64")]
    assert opened(store, image, split=True) == [("linux_amd64", "linux/amd64")]


def test_one_place_holds_no_file_of_two_platforms(store: Store) -> None:
    apart = [("", "linux/amd64"), ("", "linux/arm64")]
    assert opened(store, index_of(store, "a/g"), split=False) == apart
    with pytest.raises(RequestError, match="cannot overwrite a/f from linux/amd64 with linux/arm64"):
        opened(store, index_of(store, "a/f"), split=False)
    assert [path for path in descriptors_below(store.root) if "trees" in path] == []
