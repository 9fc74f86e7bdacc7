from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.store.registries import RegistryAccess, access_of
from pybuild.builder.store.store import Store

FILE = Path("/auth.json")


@pytest.mark.parametrize("access", [RegistryAccess(username="me", password="pw"), RegistryAccess(certificates=Path())])
def test_a_store_takes_nothing_that_is_for_one_registry(access: RegistryAccess, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="for one registry, not for a store"):
        Store.open(tmp_path / "store", access)
    assert not (tmp_path / "store").exists()


def test_a_user_name_needs_a_password() -> None:
    with pytest.raises(RequestError, match="belong together"):
        RegistryAccess(username="me")
    with pytest.raises(RequestError, match="belong together"):
        RegistryAccess(password="pw")
    with pytest.raises(RequestError, match="invalid verify"):
        RegistryAccess(verify="no")  # type: ignore[arg-type]


def test_a_password_is_not_shown() -> None:
    assert "pw" not in repr(RegistryAccess(username="me", password="pw"))


@pytest.mark.parametrize(
    ("given", "insecure", "file", "verify"),
    [
        (None, False, None, True),
        (None, True, None, False),
        (RegistryAccess(auth_file=FILE), False, FILE, True),
        (RegistryAccess(verify=False), False, None, False),
        (RegistryAccess(auth_file=FILE, verify=False), True, FILE, False),
    ],
)
def test_registries_are_accessed_as_the_store_was_opened(
    given: RegistryAccess | None, insecure: bool, file: Path | None, verify: bool, tmp_path: Path
) -> None:
    with Store.open(tmp_path, given) as store:
        access = access_of(store, insecure=insecure)
        assert (access.auth_file, access.verify) == (file, verify)


def test_a_mirror_that_did_not_answer_is_passed_over_by_all(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        access_of(store).passed_over.add("mirror.test")
        assert access_of(store).passed_over == {"mirror.test"}
