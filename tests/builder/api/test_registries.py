"""Transfers as a program starts, watches and cancels them."""

from dataclasses import replace
from pathlib import Path

import pytest

import pybuild
from pybuild import errors, events
from pybuild.builder.oci.image import Image
from tests.helpers.docker_registry import PASSWORD, USER, docker_registry
from tests.helpers.hosts import need_programs
from tests.helpers.images import tiny_image
from tests.helpers.registry import FakeRegistry


@pytest.fixture
def image(store: pybuild.Store, server: FakeRegistry) -> Image:
    made = tiny_image(store.blobs, {"etc/motd": b"hello\n"})
    store.layout.tag(f"{server.name}/app:1", made.descriptor)
    return made


def sums(seen: list[events.Event]) -> tuple[int, int]:
    """(bytes that moved, bytes that were to move) of a transfer."""
    last = {event.id: event for event in seen if isinstance(event, events.StepStatus)}
    return sum(event.current for event in last.values()), sum(event.total for event in last.values())


def test_an_image_goes_to_a_registry_and_comes_from_it(
    store: pybuild.Store, server: FakeRegistry, image: Image, tmp_path: Path
) -> None:
    name, sent, fetched = f"{server.name}/app:1", list[events.Event](), list[events.Event]()
    assert pybuild.push(name, store, sent.append) == image.descriptor.digest
    with pybuild.Store.open(tmp_path / "other") as other:
        assert pybuild.pull(name, other, fetched.append) == image.descriptor.digest
        assert [found.id for found in pybuild.list(other)] == [str(image.id)]
    size = sum(layer.size for layer in image.manifest.layers)
    assert sums(sent) == (size + image.manifest.config.size,) * 2
    assert sums(fetched) == (size, size)
    assert [type(seen[-1]) for seen in (sent, fetched)] == [events.StepFinished] * 2


def test_an_image_is_copied_between_places(
    store: pybuild.Store, server: FakeRegistry, image: Image, tmp_path: Path
) -> None:
    name = f"{server.name}/app:1"
    directory = f"oci:{tmp_path / 'layout'}:app"
    assert pybuild.copy(name, directory, store) == image.descriptor.digest
    assert pybuild.copy(directory, f"docker://{server.name}/copied:1", store) == image.descriptor.digest
    assert "/v2/copied/manifests/1" in server.paths("PUT")


def test_what_a_registry_does_not_have_or_take_is_named(
    store: pybuild.Store, server: FakeRegistry, image: Image
) -> None:
    assert image
    with pytest.raises(errors.PullFailed, match=r"failed to pull .*/missing:1"):
        pybuild.pull(f"{server.name}/missing:1", store)
    with pytest.raises(errors.ImageNotFound):
        pybuild.push(f"{server.name}/missing:1", store)
    with pytest.raises(errors.RequestError, match="invalid reference"):
        pybuild.pull("UPPER", store)


def test_a_transfer_is_cancelled_at_its_first_blob(store: pybuild.Store, server: FakeRegistry, image: Image) -> None:
    assert image
    cancel, seen = pybuild.Cancel(), list[events.Event]()

    def show(event: events.Event) -> None:
        seen.append(event)
        if isinstance(event, events.StepStatus):
            cancel.cancel()

    with pytest.raises(errors.Cancelled):
        pybuild.push(f"{server.name}/app:1", store, show, cancel=cancel)
    assert not any("/manifests/" in path for path in server.paths("PUT"))
    assert isinstance(seen[-1], events.StepFinished)
    assert seen[-1].cancelled


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # pytest brings back what is switched off
def test_a_transfer_is_given_credentials_and_certificates(store: pybuild.Store, image: Image, tmp_path: Path) -> None:
    need_programs(["docker-registry"])
    with docker_registry(tmp_path / "registry", guarded=True, encrypted=True) as server:
        name, seen = f"{server.name}/app:1", list[events.Event]()
        store.layout.tag(name, image.descriptor)
        with pytest.raises(errors.PushFailed, match="failed to push"):
            pybuild.push(name, store)
        trusted = pybuild.RegistryAccess(certificates=server.own_certificates)
        with pytest.raises(errors.PushFailed, match="requires authentication"):
            pybuild.push(name, store, registry=trusted)
        whole = replace(trusted, username=USER, password=PASSWORD)
        assert pybuild.push(name, store, seen.append, registry=whole) == image.descriptor.digest
        unverified = replace(whole, certificates=None, verify=False)
        with pybuild.Store.open(tmp_path / "other") as other:
            assert pybuild.pull(name, other, registry=unverified) == image.descriptor.digest
        known = pybuild.RegistryAccess(username=USER, password=PASSWORD)
        with pybuild.Store.open(tmp_path / "lax", pybuild.RegistryAccess(verify=False)) as lax:
            assert pybuild.pull(name, lax, registry=known) == image.descriptor.digest
        copied = f"docker://{server.name}/copied:1"
        assert pybuild.copy(f"docker://{name}", copied, store, source_registry=whole, target_registry=whole)
        assert pybuild.copy(copied, f"oci:{tmp_path / 'layout'}", store, source_registry=whole)
    assert PASSWORD not in repr(whole)
