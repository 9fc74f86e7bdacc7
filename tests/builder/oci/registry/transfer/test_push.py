from dataclasses import replace

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import DigestMismatch, RegistryError
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import Descriptor, Manifest
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.transfer.push import PushOptions
from tests.helpers.images import ARM64, tiny_image, tiny_index
from tests.helpers.registry import APP, Answer, FakeRegistry, Patience, Request


@pytest.fixture
def server() -> object:
    with FakeRegistry() as fake:
        yield fake


def puts(server: FakeRegistry) -> list[str]:
    return [path.rpartition("/")[2] for path in server.paths("PUT") if "/manifests/" in path]


def test_an_image_is_pushed_under_all_its_tags(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    registry.push(APP, ["1.0", "latest"], image.descriptor, source)
    assert server.has(APP, source, "1.0", image.descriptor)
    assert server.has(APP, source, "latest", image.descriptor)
    assert puts(server) == ["1.0", "latest"]


def test_an_index_is_pushed_from_the_bottom_up(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    other = tiny_image(source, {"c": b"3"}, platform=ARM64)
    index = tiny_index(source, image, other)
    registry.push(APP, ["multi"], index, source)
    assert server.has(APP, source, "multi", index)
    assert puts(server)[-1] == "multi"
    assert set(puts(server)[:-1]) == {str(image.descriptor.digest), str(other.descriptor.digest)}
    first_manifest = next(n for n, r in enumerate(server.requests) if "/manifests/" in r.path)
    assert all("/blobs/" not in request.path for request in server.requests[first_manifest:])


def test_without_a_tag_an_image_has_its_digest_as_name(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    registry.push(APP, [], image.descriptor, source)
    assert puts(server) == [str(image.descriptor.digest)]


def test_each_blob_is_told_of_once(server: FakeRegistry, registry: Registry, source: BlobStore, image: Image) -> None:
    told: list[tuple[Descriptor, str]] = []
    registry.push(APP, ["1"], image.descriptor, source, PushOptions(ended=lambda *what: told.append(what)))
    blobs = (image.manifest.config, *image.manifest.layers)
    assert sorted(str(blob.digest) for blob, _ in told) == sorted(str(blob.digest) for blob in blobs)
    assert {outcome for _, outcome in told} == {"Pushed"}


def test_what_the_registry_loses_meanwhile_is_brought_again(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    lost = f"/v2/{APP}/blobs/{image.manifest.layers[0].digest}"
    honest = server._honest
    times = iter(range(2))

    def forgetful(request: Request) -> Answer:
        if request.kind == "PUT manifest" and next(times, None) is not None:
            server.content.pop(lost, None)
        return honest(request)

    server._honest = forgetful
    registry.push(APP, ["1.0"], image.descriptor, source)
    assert server.has(APP, source, "1.0", image.descriptor)


def test_a_tag_that_may_not_be_overwritten_is_pushed_when_it_names_the_image_already(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    registry.push(APP, ["1.0"], image.descriptor, source)
    honest = server._honest

    def immutable(request: Request) -> Answer:
        if request.kind == "PUT manifest" and request.path in server.content:
            words = b'{"errors": [{"code": "TAG_INVALID", "message": "The image tag is immutable"}]}'
            return Answer(status=400, headers={"Content-Type": "application/json"}, body=words)
        return honest(request)

    server._honest = immutable
    registry.push(APP, ["1.0"], image.descriptor, source)
    other = tiny_image(source, {"c": b"3"})
    with pytest.raises(RegistryError, match="tag invalid: The image tag is immutable"):
        registry.push(APP, ["1.0"], other.descriptor, source)
    assert server.has(APP, source, "1.0", image.descriptor)


def test_a_registry_that_loses_everything_is_told(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    path = f"/v2/{APP}/manifests/1.0"
    body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"gone"}]}'
    server.answer(path, *[Answer(status=404, body=body)] * 5)
    with pytest.raises(RegistryError, match="manifest blob unknown: gone"):
        registry.push(APP, ["1.0"], image.descriptor, source)
    assert puts(server) == ["1.0"] * 3


def test_a_registry_that_makes_another_document_of_it_is_told(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    other = str(image.manifest.config.digest)
    server.answer(f"/v2/{APP}/manifests/1.0", Answer(status=201, headers={"Docker-Content-Digest": other}))
    with pytest.raises(DigestMismatch, match="has stored"):
        registry.push(APP, ["1.0"], image.descriptor, source)


def test_layers_that_must_not_be_distributed_stay_where_they_are(
    server: FakeRegistry, registry: Registry, source: BlobStore, image: Image
) -> None:
    foreign = replace(
        image.manifest.layers[0],
        media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        urls=("https://example.com/layer",),
    )
    source.remove(foreign.digest)
    manifest = replace(image.manifest, layers=(foreign, image.manifest.layers[1]))
    server._take_manifest = lambda _request, _repository, _target: Answer(status=201)
    registry.push(APP, ["1.0"], source.put(manifest.to_json(), media.OCI_MANIFEST), source)
    assert f"/v2/{APP}/blobs/{foreign.digest}" not in server.content


@pytest.mark.parametrize("tag", ["a/b", "sha256:" + "0" * 64, ""])
def test_a_tag_is_a_word(server: FakeRegistry, registry: Registry, source: BlobStore, image: Image, tag: str) -> None:
    with pytest.raises(RegistryError):
        registry.push(APP, [tag], image.descriptor, source)
    assert server.requests == []


def test_a_push_that_was_cut_off_sends_only_the_rest(
    server: FakeRegistry, registry: Registry, source: BlobStore, patience: Patience
) -> None:
    image = tiny_image(source, *({f"f{n}": bytes([n]) * 1000} for n in range(6)))
    last = str(image.manifest.layers[5].digest)
    honest = server._honest
    server._honest = lambda r: Answer(status=500) if r.method == "PUT" and last[7:] in r.query else honest(r)
    with pytest.raises(RegistryError):
        registry.push(APP, ["1.0"], image.descriptor, source)
    assert f"/v2/{APP}/manifests/1.0" not in server.content
    kept = {path for path in server.content if "/blobs/" in path}
    server._honest = honest
    server.requests.clear()
    registry.push(APP, ["1.0"], image.descriptor, source)
    assert server.has(APP, source, "1.0", image.descriptor)
    assert len([path for path in server.paths("PUT") if "/uploads/" in path]) == 7 - len(kept)


def referrer(source: BlobStore, subject: Descriptor, kind: str) -> Descriptor:
    empty = source.put(b"{}", "application/vnd.oci.empty.v1+json")
    manifest = Manifest(config=empty, layers=(), subject=replace(subject, platform=None), artifact_type=kind)
    return source.put(manifest.to_json(), media.OCI_MANIFEST)


@pytest.mark.parametrize("known", [True, False])
def test_what_refers_to_an_image_is_listed_with_and_without_help_of_the_registry(
    source: BlobStore, image: Image, patience: Patience, known: bool
) -> None:
    with FakeRegistry(referrers=known) as fake, Registry(fake.name, retry=patience.retry) as registry:
        registry.push(APP, ["1.0"], image.descriptor, source)
        assert registry.referrers(APP, image.descriptor.digest) == ()
        pushed = [referrer(source, image.descriptor, f"application/x-{kind}") for kind in ("sbom", "signature")]
        for item in (*pushed, pushed[0]):
            registry.push(APP, [], item, source)
        found = registry.referrers(APP, image.descriptor.digest)
        assert {item.digest for item in found} == {item.digest for item in pushed}
        (one,) = registry.referrers(APP, image.descriptor.digest, "application/x-sbom")
        assert (one.digest, one.size) == (pushed[0].digest, pushed[0].size)
        tagged = f"/v2/{APP}/manifests/sha256-{image.descriptor.digest.hex}" in fake.content
        assert tagged is not known


def test_a_page_for_people_is_no_list_of_referrers(
    source: BlobStore, image: Image, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Answer(headers={"Content-Type": "text/html; charset=utf-8"}, body=b"<!doctype html>")
    monkeypatch.setattr(FakeRegistry, "_list_referrers", lambda *_: page)
    with FakeRegistry(referrers=False) as fake, Registry(fake.name, retry=patience.retry) as registry:
        registry.push(APP, ["1.0"], image.descriptor, source)
        assert registry.referrers(APP, image.descriptor.digest) == ()
        pushed = referrer(source, image.descriptor, "application/x-sbom")
        registry.push(APP, [], pushed, source)
        assert [item.digest for item in registry.referrers(APP, image.descriptor.digest)] == [pushed.digest]


def test_progress_begins_with_all_blobs_and_ends_with_all_of_them_sent(
    registry: Registry, source: BlobStore, image: Image
) -> None:
    for again in (False, True):  # the second time everything is there already
        calls: list[tuple[str, int, int]] = []
        tag = "again" if again else "1"
        registry.push(
            APP, [tag], image.descriptor, source, PushOptions(progress=lambda *call, to=calls: to.append(call))
        )
        blobs = (image.manifest.config, *image.manifest.layers)
        assert sorted(calls[: len(blobs)]) == sorted((str(blob.digest), 0, blob.size) for blob in blobs)
        last = {name: (current, total) for name, current, total in calls}
        assert last == {str(blob.digest): (blob.size, blob.size) for blob in blobs}
