"""A registry whose tokens come from another host: who is given credentials, over TLS and without."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import HelperMissing, RegistryDenied, RegistryError
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.registry.configuration import Configuration
from pybuild.builder.oci.registry.mirrors import MirrorRule
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.settings import Settings
from pybuild.builder.oci.registry.wire.certificates import Tls
from tests.helpers.certificates import make_authority, sign
from tests.helpers.hosts import need_programs
from tests.helpers.registry import APP, Answer, FakeRegistry, blob_path, pull

# `pybuild.builder.oci.registry.wire.http` turns this off for users; pytest turns it on again.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

ME = Credentials("me", "pw")
REGISTRY, SIBLING = "registry.corp.test", "gitlab.corp.test"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_programs(["openssl"])
    directory = tmp_path_factory.mktemp("pki")
    make_authority(directory)
    sign(directory, "corp", REGISTRY, f"DNS:{REGISTRY},DNS:{SIBLING}")
    return directory


@pytest.fixture
def context(pki: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki / "corp.pem", pki / "corp.key")
    return context


@pytest.fixture(autouse=True)
def _corp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the names of the network of the company be this machine."""
    honest = socket.getaddrinfo

    def look_up(host: str, *rest: object, **options: object) -> object:
        return honest("127.0.0.1" if str(host).endswith(".corp.test") else host, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def servers(context: ssl.SSLContext, source: BlobStore, image: Image) -> Iterator[tuple[FakeRegistry, FakeRegistry]]:
    with FakeRegistry(token="secret", tls=context) as registry, FakeRegistry(token="secret", tls=context) as sibling:
        registry.add(source, APP, "1.0", image.descriptor)
        registry.challenge = f'Bearer realm="https://{SIBLING}:{sibling.port}/token",service="fake"'
        yield registry, sibling


def trusting(pki: Path, *names: str) -> Settings:
    """What is configured where the authority of the company is trusted for *names*."""
    tls = Tls(authorities=(str(pki / "ca.pem"),))
    return Settings(configuration=Configuration(tls=dict.fromkeys(names, tls)))


def shown(server: FakeRegistry) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests if request.path == "/token"]


def test_a_sibling_that_the_registry_names_over_https_gets_the_credentials(
    servers: tuple[FakeRegistry, FakeRegistry], pki: Path, blobs: BlobStore, image: Image
) -> None:
    server, sibling = servers
    names = (f"{REGISTRY}:{server.port}", f"{SIBLING}:{sibling.port}")
    with Registry(names[0], trusting(pki, *names), access=Access(credentials=ME)) as registry:
        assert pull(registry, blobs).image.id == image.id
        assert registry.warnings == ()
    assert shown(sibling) == [ME.header()]
    assert "account=me" in next(request.query for request in sibling.requests)


def test_a_login_at_a_sibling_is_checked(servers: tuple[FakeRegistry, FakeRegistry], pki: Path) -> None:
    server, sibling = servers
    names = (f"{REGISTRY}:{server.port}", f"{SIBLING}:{sibling.port}")
    sibling.answer("/token", Answer(status=403, body=b'{"errors":[{"code":"DENIED","message":"access forbidden"}]}'))
    with Registry(names[0], trusting(pki, *names), access=Access(credentials=ME)) as registry:
        with pytest.raises(RegistryDenied, match="status 403: denied: access forbidden"):
            registry.log_in()
        registry.log_in()
    assert shown(sibling) == [ME.header()] * 2


@pytest.mark.parametrize("realm", ["http", "https"])
def test_what_anybody_may_have_said_gets_none(
    servers: tuple[FakeRegistry, FakeRegistry], pki: Path, blobs: BlobStore, realm: str
) -> None:
    """The registry is insecure, its sibling is not called so."""
    server, sibling = servers
    names = (f"{REGISTRY}:{server.port}", f"{SIBLING}:{sibling.port}")
    trusted = trusting(pki, names[1]).configuration
    settings = Settings(
        configuration=Configuration(entries=(MirrorRule(prefix=names[0], insecure=True),), tls=trusted.tls),
    )
    server.challenge = server.challenge.replace("https", realm)
    with Registry(names[0], settings, access=Access(credentials=ME)) as registry:
        if realm == "http":
            with pytest.raises(RegistryError, match="which is not encrypted"):
                pull(registry, blobs)
            assert sibling.requests == []
            return
        pull(registry, blobs)
        (warning,) = registry.warnings
        assert f"the credentials for {names[0]} were not sent to https://{names[1]}" in warning
        with pytest.raises(RegistryError, match="were not sent to"):
            registry.log_in()
    assert set(shown(sibling)) == {None}


def test_both_that_the_user_calls_insecure_get_them(
    servers: tuple[FakeRegistry, FakeRegistry], blobs: BlobStore, image: Image
) -> None:
    server, sibling = servers
    names = (f"{REGISTRY}:{server.port}", f"{SIBLING}:{sibling.port}")
    entries = tuple(MirrorRule(prefix=name, insecure=True) for name in names)
    with Registry(
        names[0], Settings(configuration=Configuration(entries=entries)), access=Access(credentials=ME)
    ) as registry:
        assert pull(registry, blobs).image.id == image.id
    assert shown(sibling) == [ME.header()]


def test_a_refusal_says_what_was_withheld(
    servers: tuple[FakeRegistry, FakeRegistry], pki: Path, blobs: BlobStore
) -> None:
    server, sibling = servers
    names = (f"{REGISTRY}:{server.port}", f"{SIBLING}:{sibling.port}")
    settings = Settings(
        configuration=Configuration(
            entries=(MirrorRule(prefix=names[0], insecure=True),), tls=trusting(pki, names[1]).configuration.tls
        )
    )
    sibling.token = "for-nobody"
    with (
        Registry(names[0], settings, access=Access(credentials=ME)) as registry,
        pytest.raises(RegistryDenied) as caught,
    ):
        registry.resolve(APP, "1.0", blobs)
    assert "were not sent to" in caught.value.hint
    assert "log in" not in caught.value.hint


def test_another_server_of_this_machine_gets_them_from_a_registry_of_this_machine(
    source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    with FakeRegistry(token="secret") as server, FakeRegistry(token="secret") as sibling:
        server.add(source, APP, "1.0", image.descriptor)
        server.challenge = f'Bearer realm="{sibling.url}/token"'
        with Registry(server.name, access=Access(credentials=ME)) as registry:
            pull(registry, blobs)
        assert shown(sibling) == [ME.header()]


@pytest.mark.parametrize(
    "realm", ["https://169.254.169.254/token", "https://[fd00:ec2::254]/t", "https://metadata.google.internal/t"]
)
def test_clouds_get_none_whatever_the_registry_says(
    servers: tuple[FakeRegistry, FakeRegistry], pki: Path, blobs: BlobStore, realm: str
) -> None:
    server, _ = servers
    name = f"{REGISTRY}:{server.port}"
    server.challenge = f'Bearer realm="{realm}"'
    with (
        Registry(name, trusting(pki, name), access=Access(credentials=ME)) as registry,
        pytest.raises(RegistryError, match="the metadata service of a cloud"),
    ):
        registry.resolve(APP, "1.0", blobs)


def test_the_challenge_of_a_server_that_a_redirect_leads_to_is_answered_as_nobody(
    source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    with FakeRegistry(token="ours") as server, FakeRegistry(token="theirs") as storage:
        server.add(source, APP, "1.0", image.descriptor)
        storage.add(source, APP, "1.0", image.descriptor)
        server.cdn = storage
        path = blob_path(image)
        challenge = Answer(status=401, headers={"WWW-Authenticate": server.challenge})
        server.answer(path, challenge, Answer(status=307, headers={"Location": f"{storage.url}{path}"}))
        with Registry(server.name, access=Access(credentials=ME)) as registry:
            registry.fetch(APP, image.manifest.layers[:1], blobs)
        assert blobs.has(image.manifest.layers[0])
        assert shown(storage) == [None]
        assert [request.headers.get("Authorization") for request in storage.requests if request.path == path] == [
            None,
            "Bearer theirs",
        ]
        assert shown(server) == [ME.header()]


@pytest.mark.parametrize("challenge", ['Basic realm="storage"', ""])
def test_a_server_that_a_redirect_leads_to_does_not_get_a_password(
    source: BlobStore, blobs: BlobStore, image: Image, challenge: str
) -> None:
    with FakeRegistry() as server, FakeRegistry(token="theirs") as storage:
        storage.challenge = challenge
        path = blob_path(image)
        storage.answer(path, *[Answer(status=401, headers={"WWW-Authenticate": challenge})] * 3)
        server.answer(path, Answer(status=307, headers={"Location": f"{storage.url}{path}"}))
        with (
            Registry(server.name, access=Access(credentials=ME)) as registry,
            pytest.raises(RegistryDenied, match="status 401"),
        ):
            registry.fetch(APP, image.manifest.layers[:1], blobs)
        assert [request.headers.get("Authorization") for request in storage.requests] == [None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_secret_in_a_request_for_a_token_does_not_follow_a_redirect(
    source: BlobStore, blobs: BlobStore, image: Image, status: int
) -> None:
    with FakeRegistry(token="secret") as server, FakeRegistry(token="secret") as stranger:
        server.add(source, APP, "1.0", image.descriptor)
        server.answer("/token", *[Answer(status=status, headers={"Location": f"{stranger.url}/token"})] * 4)
        with (
            Registry(server.name, access=Access(credentials=Credentials(identity_token="it"))) as registry,
            pytest.raises(RegistryError, match=f"status {status}"),
        ):
            registry.resolve(APP, "1.0", blobs)
        assert stranger.requests == []


def test_a_registry_that_lets_anybody_in_is_asked_whether_it_knows_the_user(server: FakeRegistry) -> None:
    server.answer("/v2/", Answer(body=b"{}"), Answer(status=401, body=b'{"message":"bad password"}'))
    with Registry(server.name, access=Access(credentials=ME)) as registry:
        with pytest.raises(RegistryDenied, match="status 401: bad password"):
            registry.log_in()
        assert [request.headers.get("Authorization") for request in server.requests] == [None, ME.header()]
        registry.log_in()


def test_a_helper_that_is_not_installed_is_no_reason_to_fail_where_nobody_need_be_known(
    source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    def look_up(_registry: str, _repository: str) -> Credentials | None:
        raise HelperMissing("credential helper docker-credential-x is not installed")

    with FakeRegistry(token="secret") as server, Registry(server.name, Settings(credentials=look_up)) as registry:
        server.add(source, APP, "1.0", image.descriptor)
        assert pull(registry, blobs).image.id == image.id
        assert registry.warnings == ("credential helper docker-credential-x is not installed",)
        assert shown(server) == [None]
        server.token = "for-nobody"
        server.answer("/token", *[Answer(body=b'{"token":"x"}')] * 9)
        with pytest.raises(RegistryDenied) as caught:
            registry.resolve("team/other", "1.0", blobs)
        assert "docker-credential-x is not installed" in caught.value.hint
