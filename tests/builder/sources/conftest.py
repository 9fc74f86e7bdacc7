import pytest

from pybuild.builder.store.store import open_store
from tests.helpers.repositories import Repository, daemon
from tests.helpers.web import Web


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def web():
    with Web() as server:
        yield server


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "served")


@pytest.fixture
def served(tmp_path, repository):
    """The address below which `repository` and its neighbours are served."""
    with daemon(tmp_path / "served") as address:
        yield address
