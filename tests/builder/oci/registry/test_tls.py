"""Certificates of both sides, and proxies, against a server of our own that speaks TLS."""

import base64
import shutil
import ssl
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import RegistryError, RegistryUnavailable
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.settings import Settings
from tests.helpers.certificates import make_authority, sign
from tests.helpers.hosts import need_programs
from tests.helpers.proxy import ConnectProxy
from tests.helpers.registry import APP, FakeRegistry, Patience, pull

ELSEWHERE = "registry.example"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_programs(["openssl"])
    directory = tmp_path_factory.mktemp("pki")
    make_authority(directory)
    sign(directory, "server", "localhost", f"DNS:{ELSEWHERE},DNS:localhost,IP:127.0.0.1")
    sign(directory, "client", "somebody", "DNS:client")
    return directory


@pytest.fixture
def context(pki: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.pem"))
    context.load_cert_chain(pki / "server.pem", pki / "server.key")
    return context


def settings(directory: Path, pki: Path, name: str, *, client: bool = False) -> Settings:
    """What is configured with a ``certs.d`` that knows the server *name*."""
    place = directory / "certs.d" / name
    place.mkdir(parents=True)
    shutil.copy(pki / "ca.pem", place / "ca.crt")
    if client:
        shutil.copy(pki / "client.pem", place / "client.cert")
        shutil.copy(pki / "client.key", place / "client.key")
    return Settings(certificates=(directory / "certs.d",))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asks_for_a_certificate_gets_it(
    context: ssl.SSLContext, pki: Path, tmp_path: Path, source: BlobStore, blobs: BlobStore, image: Image, version: int
) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion(version)
    with FakeRegistry(tls=context) as server:
        server.add(source, APP, "1.0", image.descriptor)
        with Registry(server.name, settings(tmp_path, pki, server.name, client=True)) as registry:
            assert pull(registry, blobs).image.id == image.id
            registry.push("team/other", ["1"], image.descriptor, source)
        assert server.has("team/other", source, "1", image.descriptor)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_without_the_certificate_it_is_said_at_once_where_it_belongs(
    context: ssl.SSLContext, pki: Path, tmp_path: Path, blobs: BlobStore, patience: Patience, version: int
) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion(version)
    with (
        FakeRegistry(tls=context) as server,
        Registry(server.name, settings(tmp_path, pki, server.name), retry=patience.retry) as registry,
    ):
        with pytest.raises(RegistryError, match="the server rejects the TLS connection") as caught:
            registry.resolve(APP, "1.0", blobs)
        assert f"certs.d/{server.name}/client.cert" in caught.value.hint
        assert server.requests == []
    assert patience.waits == []


def test_a_server_that_speaks_plain_http_is_told_with_the_flag(
    pki: Path, tmp_path: Path, blobs: BlobStore, patience: Patience
) -> None:
    with (
        FakeRegistry() as server,
        Registry(server.name, settings(tmp_path, pki, server.name), retry=patience.retry) as registry,
        pytest.raises(RegistryError, match="the server does not speak TLS") as caught,
    ):
        registry.resolve(APP, "1.0", blobs)
    assert "--tls-verify=false" in caught.value.hint
    assert f'http = true for [registry."{server.name}"]' in caught.value.hint
    assert patience.waits == []


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_leads_to_a_server_that_speaks_tls(
    context: ssl.SSLContext,
    pki: Path,
    tmp_path: Path,
    source: BlobStore,
    blobs: BlobStore,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    basic = "Basic " + base64.b64encode(b"me:pw").decode()
    with FakeRegistry(tls=context) as server, ConnectProxy(server.port, basic) as proxy:
        server.add(source, APP, "1.0", image.descriptor)
        monkeypatch.setenv(variable, f"http://me:pw@{proxy.name}")
        with Registry(ELSEWHERE, settings(tmp_path, pki, ELSEWHERE)) as registry:
            assert pull(registry, blobs).image.id == image.id
        assert set(proxy.asked) == {(f"{ELSEWHERE}:443", basic)}
        assert all("Proxy-Authorization" not in request.headers for request in server.requests)


def test_a_proxy_that_refuses_is_named_as_the_reason(
    blobs: BlobStore, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ConnectProxy(1, "Basic of somebody else") as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy.name}")
        with (
            Registry(ELSEWHERE, retry=patience.retry) as registry,
            pytest.raises(RegistryUnavailable, match="407 Proxy Authentication Required"),
        ):
            registry.resolve(APP, "1.0", blobs)


def test_a_proxy_is_not_asked_for_what_no_proxy_names(
    blobs: BlobStore, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy(1) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy.name}")
        monkeypatch.setenv("no_proxy", ".invalid")
        with Registry("registry.invalid", retry=patience.retry) as registry, pytest.raises(RegistryUnavailable):
            registry.resolve(APP, "1.0", blobs)
        assert proxy.asked == []
