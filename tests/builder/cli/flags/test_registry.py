from pathlib import Path

from pybuild.builder.cli.flags.registry import RegistryFlags, read_registry


def test_without_flags_certificates_are_checked_and_files_are_the_usual_ones() -> None:
    assert read_registry(authfile=None, tls_verify=True) == RegistryFlags()


def test_a_file_of_credentials_and_no_certificates() -> None:
    found = read_registry(authfile=Path("a"), tls_verify=False)
    assert (found.auth_file, found.tls_verify) == (Path("a"), False)
