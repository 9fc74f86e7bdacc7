from pathlib import Path

import pytest

from pybuild.builder.oci.registry.configuration import Configuration
from pybuild.builder.oci.registry.mirrors import MirrorPlace
from pybuild.builder.oci.registry.settings import Settings, host_settings
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.origin import origin_of


def origins(settings: Settings, registry: str, *, insecure: bool = False) -> list[str]:
    return [str(origin) for origin in settings.origins(MirrorPlace(registry, "x", insecure))]


def test_plain_http_is_for_loopback_and_for_what_the_user_calls_insecure() -> None:
    settings = Settings(configuration=Configuration(plain=frozenset({"plain.com:81"})))
    assert origins(settings, "a.com") == ["https://a.com"]
    assert origins(settings, "localhost:5000") == ["http://localhost:5000"]
    assert origins(settings, "plain.com:81") == ["http://plain.com:81"]
    assert origins(settings, "a.com:5000", insecure=True) == ["https://a.com:5000", "http://a.com:5000"]


def test_loopback_is_encrypted_when_there_is_a_certificate_for_it(tmp_path: Path) -> None:
    (tmp_path / "localhost:5000").mkdir()
    settings = Settings(certificates=(tmp_path,))
    assert origins(settings, "localhost:5000") == ["https://localhost:5000"]
    assert origins(settings, "localhost:5001") == ["http://localhost:5001"]


def test_no_verification_concerns_the_insecure_server_only() -> None:
    settings = Settings()
    assert settings.tls(origin_of("https://a.com"), frozenset({"a.com:443"})) == Tls(verify=False)
    assert settings.tls(origin_of("https://b.com"), frozenset({"a.com:443"})) == Tls()
    assert settings.tls(origin_of("https://a.com:444"), frozenset({"a.com:443"})) == Tls()


def test_without_verification_the_registry_is_insecure_but_its_mirrors_are_not(tmp_path: Path) -> None:
    (tmp_path / "pybuild.toml").write_text('[registry."a.com"]\nmirrors = ["m.com"]\n')
    settings = host_settings({"PYBUILD_CONFIG": str(tmp_path / "pybuild.toml")}, home=tmp_path, etc=tmp_path)
    assert [place.insecure for place in settings.places("a.com", "x", by_digest=False)] == [False, False]
    relaxed = Settings(configuration=settings.configuration, verify=False)
    assert [place.insecure for place in relaxed.places("a.com", "x", by_digest=False)] == [False, True]


def test_the_files_of_host_and_user_are_read(tmp_path: Path) -> None:
    home, etc = tmp_path / "home", tmp_path / "etc"
    for path, location in [
        (etc / "containers" / "registries.conf", "one"),
        (etc / "containers" / "registries.conf.d" / "50-x.conf", "two"),
        (etc / "containers" / "registries.conf.d" / "ignored", "never"),
        (home / ".config" / "containers" / "registries.conf.d" / "x.conf", "three"),
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'[[registry]]\nlocation = "{location}"\n')
    (home / ".config" / "pybuild").mkdir()
    (home / ".config" / "pybuild" / "pybuild.toml").write_text('[registry."own"]\ninsecure = true\n')

    def prefixes(env: dict[str, str]) -> list[str]:
        return [entry.prefix for entry in host_settings(env, home, etc).configuration.entries]

    assert prefixes({}) == ["own", "one", "two", "three"]
    (home / ".config" / "containers" / "registries.conf").write_text('[[registry]]\nlocation = "mine"\n')
    assert prefixes({}) == ["own", "mine", "two", "three"]
    assert prefixes({"CONTAINERS_REGISTRIES_CONF": str(etc / "containers" / "registries.conf")}) == ["own", "one"]


def test_certificates_of_our_own_configuration_come_first(tmp_path: Path) -> None:
    (tmp_path / "a.com").mkdir()
    settings = Settings(configuration=Configuration(tls={"a.com": Tls(authorities=("x",))}), certificates=(tmp_path,))
    assert settings.tls(origin_of("https://a.com"), frozenset()) == Tls(authorities=("x",))


@pytest.mark.parametrize("env", [{}, {"HOME": "/nowhere"}])
def test_a_host_without_any_file_has_no_settings(tmp_path: Path, env: dict[str, str]) -> None:
    settings = host_settings(env, home=tmp_path, etc=tmp_path)
    assert settings.configuration == Configuration()
    assert settings.credentials("a.com", "x") is None
