from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.store.registries import RegistryAccess
from pybuild.builder.store.store import Store


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
