from pathlib import Path

import pytest

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.wire.certificates import Tls, tls_from
from pybuild.builder.oci.registry.wire.origin import origin_of


def fill(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).write_text("")
    return directory


def test_the_first_directory_that_knows_the_server_counts(tmp_path: Path) -> None:
    found = fill(tmp_path / "own" / "a.com:5000", "ca.crt", "other.crt", "client.cert", "client.key", "notes.txt")
    fill(tmp_path / "etc" / "a.com:5000", "wrong.crt")
    assert tls_from([tmp_path / "none", tmp_path / "own", tmp_path / "etc"], origin_of("https://a.com:5000")) == Tls(
        authorities=(f"{found}/ca.crt", f"{found}/other.crt"),
        certificate=f"{found}/client.cert",
        key=f"{found}/client.key",
    )


def test_the_usual_port_need_not_be_named(tmp_path: Path) -> None:
    fill(tmp_path / "a.com", "ca.crt")
    assert tls_from([tmp_path], origin_of("https://a.com")) is not None
    assert tls_from([tmp_path], origin_of("https://a.com:444")) is None


@pytest.mark.parametrize("name", ["client.cert", "client.key"])
def test_a_certificate_without_its_key_is_an_error(tmp_path: Path, name: str) -> None:
    fill(tmp_path / "a.com", name)
    with pytest.raises(RegistryError, match=r"client\.cert and client\.key belong together"):
        tls_from([tmp_path], origin_of("https://a.com"))
