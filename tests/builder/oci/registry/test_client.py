import json

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import RegistryDenied, RegistryError
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.registry.registry import Registry
from tests.helpers.images import tiny_image
from tests.helpers.registry import APP, TAG, Answer, FakeRegistry, Patience, blob_path, pull


@pytest.mark.parametrize("status", [400, 403, 404, 416, 451])
def test_a_lasting_failure_is_not_repeated(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image, status: int, patience: Patience
) -> None:
    server.answer(blob_path(image), Answer(status=status, body=b'{"errors":[{"code":"NO","message":"never \x1b[2J"}]}'))
    with pytest.raises(RegistryError, match=f"status {status}"):
        registry.fetch(APP, image.manifest.layers[:1], blobs)
    assert patience.waits == []


def test_the_words_of_the_registry_are_shown_without_control_characters(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image
) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "quota \x1b[2J used"}]}).encode()
    server.answer(blob_path(image), Answer(status=403, body=body))
    with pytest.raises(RegistryDenied, match=r"status 403: denied: quota \?\[2J used"):
        registry.fetch(APP, image.manifest.layers[:1], blobs)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors":[]}', b'{"errors":[3]}', b"x" * 100_000])
def test_a_failure_without_words_is_just_its_status(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image, body: bytes
) -> None:
    server.answer(blob_path(image), Answer(status=451, body=body))
    with pytest.raises(RegistryError, match=r"status 451$"):
        registry.fetch(APP, image.manifest.layers[:1], blobs)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_authorization_is_sent_to_another_host(
    server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image, status: int
) -> None:
    with FakeRegistry() as cdn, FakeRegistry(token="secret") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        content = source.path(image.manifest.layers[0].digest).read_bytes()
        cdn.content["/x"] = ("application/octet-stream", content, "")
        guarded.answer(blob_path(image), Answer(status=401, headers={"WWW-Authenticate": guarded.challenge}))
        guarded.answer(blob_path(image), Answer(status=status, headers={"Location": f"{cdn.url}/x"}))
        Registry(guarded.name).fetch(APP, image.manifest.layers[:1], blobs)
        assert [request.path for request in cdn.requests] == ["/x"]
        assert guarded.requests[-1].headers["Authorization"] == "Bearer secret"
        for name in ("Authorization", "Cookie"):
            assert name not in cdn.requests[0].headers
    assert blobs.has(image.manifest.layers[0])


def test_authorization_stays_with_redirects_inside_the_registry(
    source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    with FakeRegistry(token="secret") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        guarded.content["/moved"] = guarded.content[blob_path(image)]
        guarded.answer(blob_path(image), Answer(status=401, headers={"WWW-Authenticate": guarded.challenge}))
        guarded.answer(blob_path(image), Answer(status=307, headers={"Location": "/moved"}))
        Registry(guarded.name).fetch(APP, image.manifest.layers[:1], blobs)
        assert guarded.requests[-1].path == "/moved"
        assert guarded.requests[-1].headers["Authorization"] == "Bearer secret"


def test_cookies_are_not_kept(registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image) -> None:
    server.answer(TAG, Answer(status=405, headers={"Set-Cookie": "a=b; Path=/"}))
    pull(registry, blobs)
    assert all("Cookie" not in request.headers for request in server.requests)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://example.com/x",
        "//example.com/x",
        "http://user:pw@127.0.0.1/x",
        "http://127.1/x",
        "http://[",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://\x9b[2J/",
        "http://169.254.169.254/latest/meta-data",
        "",
    ],
)
def test_a_redirect_to_where_nothing_should_go_is_refused(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image, location: str
) -> None:
    server.answer(blob_path(image), Answer(status=307, headers={"Location": location}))
    with pytest.raises(RegistryError):
        registry.fetch(APP, image.manifest.layers[:1], blobs)
    assert not blobs.has(image.manifest.layers[0])


def test_redirects_in_a_circle_come_to_an_end(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image
) -> None:
    server.answer(blob_path(image), *[Answer(status=302, headers={"Location": blob_path(image)})] * 20)
    with pytest.raises(RegistryError, match="redirects more than 5 times"):
        registry.fetch(APP, image.manifest.layers[:1], blobs)
    assert len(server.requests) == 6


def test_a_token_is_asked_for_once_and_used_for_its_repository_only(
    source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    with FakeRegistry(token="secret") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        guarded.add(source, "team/b", "1.0", tiny_image(source, {"x": b"y"}).descriptor)
        registry = Registry(guarded.name)
        pull(registry, blobs)
        assert guarded.paths().count("/token") == 1
        assert "scope=repository%3Ateam%2Fapp%3Apull" in next(r.query for r in guarded.requests if r.path == "/token")
        assert "Authorization" not in next(r.headers for r in guarded.requests if r.path == "/token")
        registry.resolve("team/b", "1.0", blobs)
        first = next(r for r in guarded.requests if r.path.startswith("/v2/team/b/"))
        assert "Authorization" not in first.headers
        assert guarded.paths().count("/token") == 2


def test_a_token_that_expires_is_renewed(source: BlobStore, blobs: BlobStore, image: Image) -> None:
    with FakeRegistry(token="one") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        registry = Registry(guarded.name)
        registry.resolve(APP, "1.0", blobs)
        guarded.token = "two"
        registry.fetch(APP, image.manifest.layers, blobs)
        assert guarded.paths().count("/token") == 2
    assert all(blobs.has(layer) for layer in image.manifest.layers)


def test_a_token_that_is_never_accepted_is_a_refusal(source: BlobStore, blobs: BlobStore, image: Image) -> None:
    with FakeRegistry(token="right") as guarded:
        guarded.answer("/token", *[Answer(body=b'{"access_token":"wrong"}')] * 9)
        with pytest.raises(RegistryDenied, match="status 401"):
            Registry(guarded.name).resolve(APP, "1.0", blobs)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token":""}',
        b'{"token":3}',
        rb'{"token":"a\r\nX: y"}',
        b'{"token":"a b"}',
        b"x" * 2_000_000,
    ],
)
def test_a_token_that_is_none_is_refused(blobs: BlobStore, body: bytes) -> None:
    with FakeRegistry(token="right") as guarded:
        guarded.answer("/token", *[Answer(body=body)] * 4)
        with pytest.raises(RegistryError, match="not a token"):
            Registry(guarded.name).resolve(APP, "1.0", blobs)


def test_an_answer_of_an_authority_is_read_to_a_limit(source: BlobStore, blobs: BlobStore, image: Image) -> None:
    with FakeRegistry(token="right") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        guarded.answer("/token", *[Answer(body=b'{"token":"right"' + b" " * 2_000_000 + b"}")] * 2)
        with pytest.raises(RegistryError, match="not a token"):
            Registry(guarded.name).resolve(APP, "1.0", blobs)
        assert Registry(guarded.name).resolve(APP, "1.0", blobs).image.id == image.id


def test_an_authority_that_is_busy_is_waited_for(
    source: BlobStore, blobs: BlobStore, image: Image, patience: Patience
) -> None:
    with FakeRegistry(token="secret") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        guarded.answer("/token", Answer(status=503), Answer(status=429))
        assert pull(Registry(guarded.name, retry=patience.retry), blobs).image.id == image.id
    assert len(patience.waits) == 2


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Negotiate",
        "Bearer",
        "Bearer realm=http://unquoted/",
        'Bearer realm=""',
        'Bearer realm="file:///etc/passwd"',
        'Bearer realm="http://169.254.169.254/"',
        'Bearer realm="http://example.com/token"',
        'Bearer realm="http://user:pw@127.0.0.1/token"',
        'Basic realm="x"',
        "x" * 8000,
    ],
)
def test_a_challenge_that_leads_nowhere_is_refused(blobs: BlobStore, challenge: str) -> None:
    with FakeRegistry() as guarded:
        guarded.challenge = challenge or "Negotiate"
        guarded.answer(TAG, *[Answer(status=401, headers={"WWW-Authenticate": challenge})] * 2)
        with pytest.raises(RegistryError):
            Registry(guarded.name).resolve(APP, "1.0", blobs)
        assert {request.path for request in guarded.requests} == {TAG}


def test_credentials_are_not_shown() -> None:
    assert "pw" not in repr(Credentials("me", "pw"))


def test_an_answer_that_asks_twice_for_a_token_gets_the_newest(
    blobs: BlobStore, source: BlobStore, image: Image
) -> None:
    with FakeRegistry(token="one") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        challenge = {"WWW-Authenticate": guarded.challenge}
        guarded.answer(TAG, *[Answer(status=401, headers=challenge)] * 3)
        with Registry(guarded.name) as registry:
            assert registry.resolve(APP, "1.0", blobs).image.id == image.id
