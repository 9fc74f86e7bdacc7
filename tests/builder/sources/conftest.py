import pytest

from tests.helpers.repositories import Repository, daemon


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "served")


@pytest.fixture
def served(tmp_path, repository):
    """The address below which `repository` and its neighbours are served."""
    with daemon(tmp_path / "served") as address:
        yield address
