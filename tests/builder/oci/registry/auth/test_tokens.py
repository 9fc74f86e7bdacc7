from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import RegistryDenied
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.tokens import Credentials, Scope
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.settings import Settings
from pybuild.builder.oci.registry.transfer.push import PushOptions
from tests.helpers.registry import APP, Answer, FakeRegistry, Request, pull

ME = Credentials("me", "pw")


def asked(server: FakeRegistry) -> list[Request]:
    return [request for request in server.requests if request.path == "/token"]


def test_a_scope_names_what_is_asked_for() -> None:
    assert Scope("a/b").texts() == ("repository:a/b:pull",)
    assert Scope("a/b", "pull,push", "c").texts() == ("repository:a/b:pull,push", "repository:c:pull")
    assert Scope().texts() == ()


def test_an_identity_token_is_exchanged(source: BlobStore, blobs: BlobStore, image: Image) -> None:
    with FakeRegistry(token="secret") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        with Registry(guarded.name, access=Access(credentials=Credentials(identity_token="it"))) as registry:
            pull(registry, blobs)
        (request,) = asked(guarded)
    assert request.method == "POST"
    assert "Authorization" not in request.headers
    form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
    assert (form["grant_type"], form["refresh_token"], form["service"]) == ("refresh_token", "it", "fake")
    assert form["scope"] == f"repository:{APP}:pull"


def test_a_registry_token_is_used_as_it_is(source: BlobStore, blobs: BlobStore, image: Image) -> None:
    with FakeRegistry(token="secret") as guarded:
        guarded.add(source, APP, "1.0", image.descriptor)
        with Registry(guarded.name, access=Access(credentials=Credentials(registry_token="secret"))) as registry:
            pull(registry, blobs)
        assert asked(guarded) == []


def test_a_name_and_a_password_are_sent_once_when_basic_is_asked_for(blobs: BlobStore) -> None:
    with FakeRegistry(token="never") as guarded:
        guarded.challenge = 'Basic realm="x"'
        with (
            Registry(guarded.name, access=Access(credentials=ME)) as registry,
            pytest.raises(RegistryDenied, match="status 401"),
        ):
            registry.log_in()
        assert [request.headers.get("Authorization") for request in guarded.requests] == [None, ME.header()]


def test_a_push_asks_for_pull_and_push_and_a_mount_for_its_source(source: BlobStore, image: Image) -> None:
    with FakeRegistry(token="secret") as guarded, Registry(guarded.name) as registry:
        sources = {image.manifest.layers[0].digest: ["team/base"]}
        registry.push(APP, ["1.0"], image.descriptor, source, PushOptions(sources=sources))
        scopes = [parse_qs(request.query)["scope"] for request in asked(guarded)]
    assert sorted(scopes) == [
        [f"repository:{APP}:pull"],
        [f"repository:{APP}:pull,push"],
        [f"repository:{APP}:pull,push", "repository:team/base:pull"],
    ]


def test_credentials_are_looked_up_when_a_registry_wants_them_and_not_before(
    server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    looked_up: list[tuple[str, str]] = []

    def look_up(registry: str, repository: str) -> Credentials | None:
        looked_up.append((registry, repository))
        return ME

    settings = Settings(credentials=look_up)
    with Registry(server.name, settings) as registry:
        pull(registry, blobs)
    assert looked_up == []
    with FakeRegistry(token="secret") as guarded, Registry(guarded.name, settings) as registry:
        guarded.add(source, APP, "1.0", image.descriptor)
        registry.resolve(APP, "1.0", blobs)
        assert looked_up == [(guarded.name, APP)]
        assert asked(guarded)[0].headers["Authorization"] == ME.header()


def test_a_login_is_checked(server: FakeRegistry) -> None:
    with FakeRegistry(token="secret") as guarded:
        with Registry(guarded.name, access=Access(credentials=ME)) as registry:
            registry.log_in()
        assert [request.path for request in guarded.requests] == ["/v2/", "/token", "/v2/"]
        assert "scope" not in parse_qs(asked(guarded)[0].query)
        guarded.answer("/token", Answer(status=401))
        with Registry(guarded.name, access=Access(credentials=ME)) as registry, pytest.raises(RegistryDenied):
            registry.log_in()


def test_nothing_secret_is_shown() -> None:
    shown = repr(Credentials("me", "pw1", "it1", "rt1"))
    assert "me" in shown
    assert not any(secret in shown for secret in ("pw1", "it1", "rt1"))


def test_one_expiry_costs_one_renewal_however_many_wait(
    source: BlobStore, blobs: BlobStore, image: Image, many: Callable[[BlobStore], Image]
) -> None:
    with FakeRegistry(token="one") as guarded:
        large = many(source)
        guarded.add(source, APP, "many", large.descriptor)
        with Registry(guarded.name) as registry:
            found = registry.resolve(APP, "many", blobs)
            guarded.token = "two"
            registry.fetch(APP, found.image.manifest.layers, blobs)
        assert len(asked(guarded)) == 2
