import pytest

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.wire.origin import Origin, is_metadata, origin_of, registry_origin


@pytest.mark.parametrize(
    ("registry", "origin"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("index.docker.io", "https://registry-1.docker.io"),
        ("ghcr.io", "https://ghcr.io"),
        ("example.com:5000", "https://example.com:5000"),
        ("EXAMPLE.com.", "https://example.com"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ("localhost", "http://localhost"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.8.9.1", "http://127.8.9.1"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("localhost.example.com", "https://localhost.example.com"),
    ],
)
def test_registries_are_asked_by_https_except_on_loopback(registry: str, origin: str) -> None:
    assert str(registry_origin(registry)) == origin


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "//example.com/",
        "https://",
        "https://user@example.com/",
        "https://:pw@example.com/",
        "https://example.com\\@evil.com/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://[::1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://example.0177/",
    ],
)
def test_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(RegistryError, match="unusable address"):
        origin_of(url)


def test_scheme_host_and_port_make_an_origin() -> None:
    assert origin_of("https://a.com/x") == origin_of("https://A.com:443/y")
    assert origin_of("https://a.com") != origin_of("http://a.com")
    assert origin_of("https://a.com") != origin_of("https://a.com:444")


@pytest.mark.parametrize(
    ("host", "secret"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("fd00:ec2:0::0254", True),
        ("168.63.129.16", True),
        ("100.100.100.200", True),
        ("metadata.google.internal", True),
        ("10.0.0.1", False),
        ("metadata.example.com", False),
    ],
)
def test_where_clouds_keep_their_secrets_is_known(host: str, secret: bool) -> None:
    assert is_metadata(host) is secret


def test_an_origin_is_shown_as_a_url() -> None:
    assert str(Origin("https", "::1", 443)) == "https://[::1]"


def test_an_origin_has_the_name_of_its_registry() -> None:
    assert origin_of("https://a.com").name == "a.com"
    assert origin_of("http://a.com:5000").name == "a.com:5000"
