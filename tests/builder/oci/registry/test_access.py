"""The settings of a command line for registries: what is secret does not show, what is shared is not compared."""

from pybuild.builder.oci.registry.access import AS_CONFIGURED, Access, ignore_message
from pybuild.builder.oci.registry.auth.tokens import Credentials


def test_without_settings_certificates_are_verified_and_credentials_are_those_of_files() -> None:
    assert (AS_CONFIGURED.verify, AS_CONFIGURED.credentials, AS_CONFIGURED.auth_file) == (True, None, None)
    assert AS_CONFIGURED.tell is ignore_message


def test_a_password_is_in_no_text_of_the_settings() -> None:
    assert "s3cret" not in repr(Access(credentials=Credentials(username="me", password="s3cret")))


def test_each_access_has_a_list_of_silent_mirrors_of_its_own() -> None:
    one, other = Access(), Access()
    one.passed_over.add("mirror.example")
    assert (other.passed_over, one == other) == (set(), True)
