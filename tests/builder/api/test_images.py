"""What a program does with the images of a store."""

import io
from pathlib import Path

import pytest

import pybuild
from pybuild import errors, events
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import Image
from pybuild.builder.store.cache import image_layers
from tests.helpers.images import tiny_image


@pytest.fixture
def image(store: pybuild.Store) -> Image:
    made = tiny_image(store.blobs, {"etc/motd": b"hello\n"})
    store.layout.tag("docker.io/library/app:1", made.descriptor)
    return made


def test_images_are_listed_by_name(store: pybuild.Store, image: Image) -> None:
    assert pybuild.tag("app:1", "other", store) == "docker.io/library/other:latest"
    first, second = pybuild.list(store)
    assert (first.name, second.name) == ("docker.io/library/app:1", "docker.io/library/other:latest")
    assert (first.id, first.digest) == (str(image.id), str(image.descriptor.digest))
    assert first.size == second.size > sum(layer.size for layer in image.manifest.layers)


def test_a_name_that_looks_like_a_digest_is_refused(store: pybuild.Store, image: Image) -> None:
    with pytest.raises(errors.RequestError, match="ambiguous"):
        pybuild.tag(str(image.id), "sha256:abc", store)


def test_an_image_is_inspected_by_the_start_of_its_id(store: pybuild.Store, image: Image) -> None:
    document = pybuild.inspect(image.id.hex[:12], store)
    assert (document["Id"], document["RepoTags"]) == (str(image.id), ["app:1"])
    with pytest.raises(errors.ImageNotFound, match="No such image: nothing"):
        pybuild.inspect("nothing", store)


def test_an_archive_holds_what_was_saved(store: pybuild.Store, image: Image, tmp_path: Path) -> None:
    stream = io.BytesIO()
    pybuild.save("app:1", stream, store)
    pybuild.save(["app:1"], tmp_path / "app.tar", store)
    assert stream.getvalue() == (tmp_path / "app.tar").read_bytes()
    for source in (tmp_path / "app.tar", io.BytesIO(stream.getvalue())):
        with pybuild.Store.open(tmp_path / f"store-{type(source).__name__}") as other:
            assert pybuild.load(source, other) == ("docker.io/library/app:1",)
            assert [found.id for found in pybuild.list(other)] == [str(image.id)]


def moved(seen: list[events.Event]) -> dict[str, tuple[int, int]]:
    """(bytes done, bytes in all) of each part, as last reported."""
    return {each.id: (each.current, each.total) for each in seen if isinstance(each, events.StepStatus)}


def test_saving_and_loading_report_how_far_they_are(store: pybuild.Store, image: Image, tmp_path: Path) -> None:
    saved, loaded, streamed = (list[events.Event]() for _ in range(3))
    path = tmp_path / "app.tar"
    pybuild.save("app:1", path, store, saved.append)
    blobs = (image.descriptor, image.manifest.config, *image.manifest.layers)
    assert moved(saved) == {str(blob.digest): (blob.size, blob.size) for blob in blobs}
    size = path.stat().st_size
    with pybuild.Store.open(tmp_path / "other") as other:
        pybuild.load(path, other, loaded.append)
        pybuild.load(io.BytesIO(path.read_bytes()), other, streamed.append)
    assert moved(loaded) == {"app.tar": (size, size)}
    assert moved(streamed) == {"archive": (size, 0)}
    for seen in (saved, loaded, streamed):
        assert isinstance(seen[0], events.StepStarted)
        assert isinstance(seen[-1], events.StepFinished)


def test_pruning_keeps_the_limits_of_the_store(store: pybuild.Store) -> None:
    store.cache.put_record(Digest.of(b"key"), image_layers(tiny_image(store.blobs, {"b": b"2"})))
    assert pybuild.prune(store).records == 0
    (store.root / "config.toml").write_text('[gc]\nmax-used-space = "1"\n')
    assert pybuild.prune(store).records == 1
    (store.root / "config.toml").write_text("[gc]\nsize = 1\n")
    with pytest.raises(errors.RequestError, match="unknown setting 'size'"):
        pybuild.prune(store)


def test_what_is_no_archive_is_an_error_of_ours(store: pybuild.Store, tmp_path: Path) -> None:
    with pytest.raises(errors.ImageError, match="not a tar archive"):
        pybuild.load(io.BytesIO(b"x" * 2000), store)
    with pytest.raises(errors.HostError, match=r"missing\.tar: no such file"):
        pybuild.load(tmp_path / "missing.tar", store)


def test_pruning_removes_what_has_no_name(store: pybuild.Store, image: Image) -> None:
    unnamed = tiny_image(store.blobs, {"b": b"2"})
    store.layout.keep(unnamed.descriptor)
    assert pybuild.prune(store, images=False).images == ()
    pruned = pybuild.prune(store)
    assert pruned.images == (str(unnamed.descriptor.digest),)
    assert pruned.size >= unnamed.descriptor.size
    assert [found.id for found in pybuild.list(store)] == [str(image.id)]


def test_a_closed_store_has_no_images(tmp_path: Path) -> None:
    with pybuild.Store.open(tmp_path / "other") as store:
        pass
    for use in (pybuild.list, pybuild.prune):
        with pytest.raises(errors.StoreError, match="is closed"):
            use(store)
