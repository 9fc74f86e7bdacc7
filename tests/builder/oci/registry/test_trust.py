import pytest

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.trust import Purpose, Standing, check_peer, check_reachable, reason_to_withhold
from pybuild.builder.oci.registry.wire.origin import origin_of


def standing(url: str, *, insecure: bool = False, private: bool = False) -> Standing:
    return Standing(origin=origin_of(url), insecure=insecure, private=private)


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize(
    ("target", "registry", "fine"),
    [
        ("https://cdn.example.com", "https://example.com", True),
        ("http://cdn.example.com", "https://example.com", False),
        ("http://example.com", "https://example.com", False),
        ("http://127.0.0.1", "https://example.com", False),
        ("http://cdn.example.com", "http://127.0.0.1:5000", False),
        ("http://127.0.0.1:6000", "http://127.0.0.1:5000", True),
        ("https://cdn.example.com", "http://localhost:5000", True),
        ("https://169.254.169.254", "https://example.com", False),
        ("http://169.254.169.254", "http://127.0.0.1:5000", False),
        ("https://169.254.169.254", "https://10.0.0.1", False),
        ("https://[fd00:ec2::254]", "https://10.0.0.1", False),
        ("https://168.63.129.16", "https://10.0.0.1", False),
        ("https://metadata.google.internal", "https://10.0.0.1", False),
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
    target: str, registry: str, fine: bool, purpose: Purpose
) -> None:
    if fine:
        check_reachable(origin_of(target), standing(registry), purpose)
    else:
        with pytest.raises(RegistryError, match="refers to"):
            check_reachable(origin_of(target), standing(registry), purpose)


@pytest.mark.parametrize(
    ("target", "registry", "purpose", "fine"),
    [
        ("http://storage.corp.test:9000", "http://registry.corp.test", Purpose.DOWNLOAD, True),
        ("http://storage.corp.test:9000", "http://registry.corp.test", Purpose.UPLOAD, True),
        ("http://auth.corp.test", "http://registry.corp.test", Purpose.TOKEN, True),
        ("http://storage.corp.test:9000", "https://registry.corp.test", Purpose.DOWNLOAD, True),
        ("http://storage.corp.test:9000", "https://registry.corp.test", Purpose.UPLOAD, False),
        ("http://auth.corp.test", "https://registry.corp.test", Purpose.TOKEN, False),
        ("http://169.254.169.254", "http://registry.corp.test", Purpose.DOWNLOAD, False),
        ("http://10.1.2.3", "http://registry.corp.test", Purpose.DOWNLOAD, False),
    ],
)
def test_an_insecure_registry_may_have_its_storage_at_a_plain_server(
    target: str, registry: str, purpose: Purpose, fine: bool
) -> None:
    if fine:
        check_reachable(origin_of(target), standing(registry, insecure=True), purpose)
    else:
        with pytest.raises(RegistryError, match="refers to"):
            check_reachable(origin_of(target), standing(registry, insecure=True), purpose)


@pytest.mark.parametrize(
    ("target", "registry", "purpose", "hint"),
    [
        ("http://s.test", "https://a.test:5000", Purpose.DOWNLOAD, 'insecure = true for [registry."a.test:5000"]'),
        ("http://s.test", "http://127.0.0.1:5000", Purpose.UPLOAD, 'insecure = true for [registry."127.0.0.1:5000"]'),
        ("http://a.test", "https://a.test", Purpose.UPLOAD, "X-Forwarded-Proto"),
        ("http://s.test", "https://a.test", Purpose.UPLOAD, ""),
        ("http://s.test", "https://a.test", Purpose.TOKEN, ""),
    ],
)
def test_a_way_out_is_named_where_there_is_one(target: str, registry: str, purpose: Purpose, hint: str) -> None:
    with pytest.raises(RegistryError) as caught:
        check_reachable(origin_of(target), standing(registry), purpose)
    assert hint in caught.value.hint
    assert bool(hint) is bool(caught.value.hint)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1"])
def test_a_public_registry_leads_to_no_private_address_by_whatever_name(address: str) -> None:
    with pytest.raises(RegistryError, match="refers to"):
        check_peer(address, standing("https://registry.example.com"))
    check_peer("93.184.216.34", standing("https://registry.example.com"))


def test_a_registry_that_was_reached_on_a_private_network_leads_into_it() -> None:
    inner = standing("https://registry.corp.test", private=True)
    check_peer("10.0.0.1", inner)
    check_reachable(origin_of("https://10.0.0.1"), inner, Purpose.UPLOAD)
    for address in ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16"):
        with pytest.raises(RegistryError):
            check_peer(address, inner)
        with pytest.raises(RegistryError):
            check_reachable(
                origin_of(f"https://[{address}]" if ":" in address else f"https://{address}"), inner, Purpose.UPLOAD
            )


@pytest.mark.parametrize(
    ("authority", "registry", "trusted"),
    [
        ("https://auth.docker.io", "https://registry-1.docker.io", True),
        ("https://gitlab.corp.test", "https://registry.corp.test", True),
        ("https://token.other.example", "https://registry.corp.test", True),
        ("https://10.0.0.2", "https://10.0.0.1", True),
        ("http://registry.corp.test", "https://registry.corp.test", False),
        ("http://gitlab.corp.test", "https://registry.corp.test", False),
        ("https://169.254.169.254", "https://10.0.0.1", False),
        ("https://metadata.google.internal", "https://registry.corp.test", False),
        ("http://127.0.0.1:6000", "http://127.0.0.1:5000", True),
        ("http://localhost:6000", "http://127.0.0.1:5000", True),
        ("https://token.example", "http://127.0.0.1:5000", False),
        ("http://auth.corp.test", "http://registry.corp.test", False),
    ],
)
def test_credentials_go_to_the_realm_that_the_registry_names_where_nobody_else_can_have_named_it(
    authority: str, registry: str, trusted: bool
) -> None:
    reason = reason_to_withhold(origin_of(authority), standing(registry), verified=True, insecure=False)
    assert (not reason) is trusted


@pytest.mark.parametrize(
    ("registry_is", "authority_is", "trusted"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_of_insecure_servers_both_must_be_called_so(registry_is: bool, authority_is: bool, trusted: bool) -> None:
    for scheme in ("http", "https"):
        registry = standing(f"{scheme}://registry.corp.test", insecure=registry_is)
        authority = origin_of(f"{scheme}://auth.corp.test")
        reason = reason_to_withhold(authority, registry, verified=False, insecure=authority_is)
        assert (not reason) is trusted


def test_an_insecure_registry_does_not_get_credentials_out_of_https() -> None:
    registry = standing("https://registry.corp.test", insecure=True)
    assert reason_to_withhold(origin_of("http://auth.corp.test"), registry, verified=False, insecure=True)
