"""Behaviour of registries other than distribution 2, as a real one has it or as the specifications permit it."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage, RegistryError
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import Manifest
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.transfer import upload
from pybuild.builder.oci.registry.transfer.push import PushOptions
from pybuild.builder.oci.validate import validate
from tests.helpers.images import tiny_image
from tests.helpers.registry import APP, TAG, Answer, FakeRegistry, Fault, Patience, Request, blob_path, pull

Change = Callable[[Request], Answer | None]
NEW = "team/new"


class Different(FakeRegistry):
    """A registry with other answers: those of *instead*, or the usual ones after *change*."""

    instead: Change | None = None
    change: Callable[[Request, Answer], Answer] | None = None

    def _honest(self, request: Request) -> Answer:
        found = self.instead(request) if self.instead else None
        if found is not None:
            return found
        answer = super()._honest(request)
        return self.change(request, answer) if self.change else answer


@pytest.fixture
def server(source: BlobStore, image: Image) -> Iterator[Different]:
    with Different(token="t") as server:
        server.challenge = ""
        server.add(source, APP, "1.0", image.descriptor)
        yield server


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_no_digest_is_announced_and_head_is_unknown(
    server: Different, registry: Registry, blobs: BlobStore, image: Image, status: int
) -> None:
    def change(request: Request, answer: Answer) -> Answer:
        headers = {name: value for name, value in answer.headers.items() if name != "Docker-Content-Digest"}
        return Answer(status=status) if request.method == "HEAD" else replace(answer, headers=headers)

    server.change = change
    assert pull(registry, blobs).pinned.digest == image.descriptor.digest
    assert validate(blobs, image.descriptor) == []


@pytest.mark.parametrize(
    ("announced", "fits"),
    [("sha512:" + 128 * "0", True), ("{0}, {0}", True), ("", True), ("sha256:" + 64 * "0", False)],
    ids=["another algorithm", "twice", "empty", "another blob"],
)
def test_a_digest_by_which_a_server_calls_a_blob(
    server: Different, registry: Registry, source: BlobStore, image: Image, announced: str, fits: bool
) -> None:
    def change(request: Request, answer: Answer) -> Answer:
        own = answer.headers.get("Docker-Content-Digest", "")
        headers = {**answer.headers, "Docker-Content-Digest": announced.format(own)}
        return replace(answer, headers=headers) if request.kind == "PUT session" else answer

    server.change = change
    with nullcontext() if fits else pytest.raises(RegistryError, match="as sha256:000"):
        registry.push(NEW, ("1",), image.descriptor, source)
    assert server.has(NEW, source, "1", image.descriptor) is fits


@pytest.mark.parametrize("status", [400, 405, 411, 415, 501])
def test_blobs_are_taken_in_chunks_only(
    server: Different, registry: Registry, source: BlobStore, image: Image, status: int
) -> None:
    server.instead = lambda request: Answer(status=status) if request.kind == "PUT session" and request.body else None
    registry.push(NEW, ("1",), image.descriptor, source)
    assert server.has(NEW, source, "1", image.descriptor)


@pytest.mark.parametrize("status", [400, 405, 415, 501])
def test_blobs_are_taken_whole_only(
    server: Different,
    registry: Registry,
    source: BlobStore,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    """Artifact Registry of Google takes no chunks, which are the way to go on after an interrupted request."""
    monkeypatch.setattr(upload, "CHUNK", 1000)
    server.instead = lambda request: Answer(status=status) if request.method == "PATCH" else None
    faults = [Fault.RESET]
    server.fault = lambda request: (
        faults.pop() if faults and int(request.headers.get("Content-Length", 0)) > 5000 else None
    )
    wanted = tiny_image(source, {"large": random.Random(2).randbytes(5000)})
    registry.push(NEW, ("1",), wanted.descriptor, source)
    assert server.has(NEW, source, "1", wanted.descriptor)
    assert any(request.method == "PATCH" for request in server.requests)


def test_a_blob_that_is_refused_in_both_forms_is_sent_twice_and_no_more(
    server: Different, registry: Registry, source: BlobStore
) -> None:
    server.instead = lambda request: Answer(status=405) if request.kind in {"PUT session", "PATCH session"} else None
    wanted = tiny_image(source)
    with pytest.raises(RegistryError, match="status 405"):
        registry.push(NEW, ("1",), wanted.descriptor, source)
    assert [request.method for request in server.requests if request.kind.endswith(" session")] == ["PUT", "PATCH"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_mount_that_fails_is_an_upload(
    server: Different, registry: Registry, source: BlobStore, image: Image, status: int
) -> None:
    server.instead = lambda request: Answer(status=status) if request.kind == "POST mount" else None
    sources = {layer.digest: ("team/base",) for layer in image.manifest.layers}
    registry.push(NEW, ("1",), image.descriptor, source, PushOptions(sources=sources))
    assert server.has(NEW, source, "1", image.descriptor)


@pytest.mark.parametrize(
    "link",
    [
        '<{path}>; rel="next"',
        "<{url}{path}>; rel=next",
        '<{path}>; title="more"; rel="next"',
        '</first>; rel="first", <{path}>; REL="next"; type="application/json"',
        "<{path}>;rel='next'",
        '<?last=b&n=2>; rel="next"',
    ],
)
def test_pages_are_linked_in_many_ways(server: Different, registry: Registry, link: str) -> None:
    def instead(request: Request) -> Answer:
        if "last=" in request.query:
            return Answer(body=b'{"name": "x", "tags": ["c"]}')
        path = f"{request.path}?last=b&n=2"
        return Answer(headers={"Link": link.format(path=path, url=server.url)}, body=b'{"tags": ["a", "b"]}')

    server.instead = instead
    assert registry.tags(APP) == ("a", "b", "c")


def test_a_page_that_links_to_itself_ends_the_list(server: Different, registry: Registry) -> None:
    server.instead = lambda request: Answer(
        headers={"Link": f'<{request.path}?last=b>; rel="next"'}, body=b'{"tags": ["a", "b"]}'
    )
    assert registry.tags(APP) == ("a", "b")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "challenge",
    [
        "Bearer realm={url}/token,service=fake,scope=repository:team/app:pull",
        'Bearer error="invalid_token", realm="{url}/token", charset="UTF-8", service="fake"',
        'Negotiate, NTLM, Basic realm="Artifactory", Bearer realm="{url}/token",service="fake"',
        'Negotiate oXQ=, Basic realm="x"\r\nWWW-Authenticate: Bearer realm="{url}/token"',
        'bearer Realm = "{url}/token" , Service = fake',
        'Bearer realm="{url}/token";service="fake"',
    ],
)
def test_challenges_are_written_in_many_ways(
    server: Different, registry: Registry, blobs: BlobStore, image: Image, challenge: str
) -> None:
    server.challenge = challenge.format(url=server.url)
    assert pull(registry, blobs).pinned.digest == image.descriptor.digest
    assert server.paths().count("/token") == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "t", "expires_in": 0, "issued_at": "never"}',
        b'{"token": null, "access_token": "t", "expires_in": "300"}',
        b'{"token": "", "access_token": "t", "refresh_token": null}',
    ],
)
def test_tokens_are_sent_in_many_ways(
    server: Different, registry: Registry, blobs: BlobStore, image: Image, body: bytes
) -> None:
    server.challenge = f'Bearer realm="{server.url}/token"'
    server.answer("/token", Answer(body=body, headers={"Content-Type": "text/plain"}))
    assert pull(registry, blobs).pinned.digest == image.descriptor.digest


def test_a_scope_that_the_registry_names_is_asked_for_when_the_own_was_not_enough(
    server: Different, registry: Registry, blobs: BlobStore, image: Image
) -> None:
    """A registry that shows a repository of another one below a path of its own may check rights to the inner one."""
    server.challenge = f'Bearer realm="{server.url}/token",scope="repository:inner/app:pull,push repository:base:pull"'

    def instead(request: Request) -> Answer | None:
        enough = "scope=repository%3Ainner%2Fapp%3Apull%2Cpush&scope=repository%3Abase%3Apull" in request.query
        return Answer(body=b'{"token":"other"}') if request.path == "/token" and not enough else None

    server.instead = instead
    assert pull(registry, blobs).pinned.digest == image.descriptor.digest
    first, second = (request.query for request in server.requests if request.path == "/token")
    assert first == "scope=repository%3Ateam%2Fapp%3Apull"
    assert second.startswith(f"{first}&")


def test_a_manifest_comes_compressed(server: Different, registry: Registry, blobs: BlobStore, image: Image) -> None:
    def change(request: Request, answer: Answer) -> Answer:
        if request.kind != "GET manifest":
            return answer
        return Answer(headers={**answer.headers, "Content-Encoding": "gzip"}, body=gzip.compress(answer.body))

    server.change = change
    assert pull(registry, blobs).pinned.digest == image.descriptor.digest


def test_a_manifest_with_a_byte_order_mark_is_refused(server: Different, registry: Registry, blobs: BlobStore) -> None:
    kind, body, _ = server.content[TAG]
    marked = b"\xef\xbb\xbf" + body
    for target in ("1.0", Digest.of(marked)):
        server.content[f"/v2/{APP}/manifests/{target}"] = (kind, marked, str(Digest.of(marked)))
    with pytest.raises(InvalidImage, match="it begins with a byte order mark"):
        registry.resolve(APP, "1.0", blobs)


def test_an_artifact_is_no_image_but_is_copied(
    server: Different, registry: Registry, source: BlobStore, blobs: BlobStore
) -> None:
    config = source.put(b"{}", "application/vnd.oci.empty.v1+json")
    chart = source.put(b"a chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    text = Manifest(media_type=media.OCI_MANIFEST, config=config, layers=(chart,)).to_json()
    document = {**json.loads(text), "artifactType": "application/vnd.cncf.helm.config.v1+json"}
    artifact = source.put(json.dumps(document).encode(), media.OCI_MANIFEST)
    server.add(source, APP, "chart", artifact)
    with pytest.raises(InvalidImage, match="an artifact of the type 'application/vnd"):
        registry.resolve(APP, "chart", blobs)
    found, below = registry.resolve_all(APP, "chart", blobs)
    registry.fetch(APP, below, blobs)
    registry.push(NEW, ("1",), found, blobs)
    assert server.has(NEW, source, "1", artifact)


def test_a_signed_address_is_asked_for_anew_when_a_download_goes_on(
    server: Different, registry: Registry, blobs: BlobStore, image: Image
) -> None:
    """The addresses of storage that GitLab, ECR, ACR and Quay redirect to are valid for some minutes."""
    place = blob_path(image)
    body = server.content[place][1]
    with FakeRegistry() as storage:
        storage.content[place] = server.content[place]
        storage.answer(place, Answer(body=body[: len(body) // 2], length=len(body)))

        def instead(request: Request) -> Answer | None:
            if request.path != place:
                return None
            signed = f"{storage.url}{place}?X-Amz-Signature=a%2Fb{len(storage.requests)}"
            return Answer(status=307, headers={"Location": signed})

        server.instead = instead
        server.challenge = f'Bearer realm="{server.url}/token"'
        assert pull(registry, blobs).pinned.digest == image.descriptor.digest
        assert [request.query for request in storage.requests] == [f"X-Amz-Signature=a%2Fb{each}" for each in range(2)]
        assert storage.requests[1].headers["Range"] == f"bytes={len(body) // 2}-"
        assert not any("Authorization" in request.headers for request in storage.requests)


def test_ranges_are_ignored_when_a_download_goes_on(
    server: Different, registry: Registry, blobs: BlobStore, image: Image, patience: Patience
) -> None:
    place = blob_path(image)
    body = server.content[place][1]
    server.answer(place, Answer(body=body[: len(body) // 2], length=len(body)))
    server.instead = lambda request: Answer(body=body) if request.path == place else None
    pull(registry, blobs)
    assert len(patience.waits) == 1
    assert [request.headers.get("Range") for request in server.requests if request.path == place] == [
        None,
        f"bytes={len(body) // 2}-",
    ]
    assert validate(blobs, image.descriptor) == []
