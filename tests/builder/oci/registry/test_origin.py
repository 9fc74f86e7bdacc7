import pytest

from builder.oci.errors import RegistryError
from builder.oci.registry.origin import Origin, check_reachable, may_have_credentials, origin_of, registry_origin


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
    ("target", "registry", "fine"),
    [
        ("https://cdn.example.com", "https://example.com", True),
        ("http://cdn.example.com", "https://example.com", False),
        ("http://127.0.0.1", "https://example.com", False),
        ("http://cdn.example.com", "http://127.0.0.1:5000", False),
        ("http://127.0.0.1:6000", "http://127.0.0.1:5000", True),
        ("https://cdn.example.com", "http://localhost:5000", True),
        ("https://169.254.169.254", "https://example.com", False),
        ("https://10.1.2.3", "https://example.com", False),
        ("https://192.168.0.1", "https://example.com", False),
        ("https://[::ffff:127.0.0.1]", "https://example.com", False),
        ("https://[fe80::1]", "https://example.com", False),
        ("https://localhost", "https://example.com", False),
        ("https://0.0.0.0", "https://example.com", False),
        ("https://10.1.2.3", "https://10.0.0.1", True),
    ],
)
def test_a_registry_leads_neither_to_plain_text_nor_into_private_networks(
    target: str, registry: str, fine: bool
) -> None:
    if fine:
        check_reachable(origin_of(target), origin_of(registry))
    else:
        with pytest.raises(RegistryError, match="leads to"):
            check_reachable(origin_of(target), origin_of(registry))


@pytest.mark.parametrize(
    ("authority", "registry", "trusted"),
    [
        ("https://auth.docker.io", "https://registry-1.docker.io", True),
        ("https://gitlab.com", "https://registry.gitlab.com", True),
        ("https://auth.example.com", "https://example.com", True),
        ("https://example.com", "https://example.com:5000", True),
        ("https://evil.com", "https://example.com", False),
        ("https://evilexample.com", "https://example.com", False),
        ("https://example.com.evil.com", "https://example.com", False),
        ("https://other.co.uk", "https://example.co.uk", False),
        ("https://com", "https://example.com", False),
        ("https://auth.docker.io", "https://example.com", False),
        ("http://127.0.0.1:6000", "http://127.0.0.1:5000", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", True),
        ("https://10.0.0.2", "https://10.0.0.1", False),
    ],
)
def test_credentials_are_only_for_authorities_that_belong_to_the_registry(
    authority: str, registry: str, trusted: bool
) -> None:
    assert may_have_credentials(origin_of(authority), origin_of(registry)) is trusted


def test_an_origin_is_shown_as_a_url() -> None:
    assert str(Origin("https", "::1", 443)) == "https://[::1]"
