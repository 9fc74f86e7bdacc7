"""Flags about a new image that several commands make."""

from pathlib import Path

import pytest

from pybuild.builder.cli.flags.new_image import ChangeFlags, loading, name_image
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.model import ContainerConfig, ImageConfig
from pybuild.builder.store.store import Store
from tests.helpers.images import tiny_image


def test_an_image_gets_all_its_names(store: Store) -> None:
    image = tiny_image(store.blobs, {"a": b""})
    name_image(store, image.descriptor, ("docker.io/library/a:1", "docker.io/library/b:1"))
    assert sorted(name for name, _ in store.layout.entries()) == ["docker.io/library/a:1", "docker.io/library/b:1"]


def test_an_image_without_a_name_is_kept(store: Store) -> None:
    image = tiny_image(store.blobs, {"a": b""})
    name_image(store, image.descriptor, ())
    assert [(name, descriptor.digest) for name, descriptor in store.layout.entries()] == [("", image.descriptor.digest)]


@pytest.mark.parametrize(
    ("source", "text"), [(Path("x.tar"), "failed to load x.tar: no"), (None, "failed to load standard input: no")]
)
def test_a_failure_names_what_was_loaded_and_keeps_its_hint(source: Path | None, text: str) -> None:
    with pytest.raises(InvalidImage) as caught, loading(source):
        raise InvalidImage("no", hint="do that")
    assert (str(caught.value), caught.value.hint) == (text, "do that")


def test_changes_are_applied_to_the_config() -> None:
    config = ImageConfig(architecture="amd64", os="linux", config=ContainerConfig(user="a"))
    assert ChangeFlags(changes=("USER b",)).changed(config).config.user == "b"
    assert ChangeFlags().changed(config) is config
