"""Programs that others wrote."""

import time
from collections.abc import Iterator

import pytest

from tests.helpers import peers
from tests.helpers.hosts import need_programs, need_root

STARTED = int(time.time()) - 60


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Docker]:
    """A Docker daemon of our own for the tests of this process."""
    need_root()
    need_programs(["mmdebstrap", "nsenter", "unshare"])
    directory = tmp_path_factory.mktemp("peer") / "docker"
    with peers.docker(directory) as peer:
        yield peer


@pytest.fixture(scope="session")
def started() -> int:
    """A moment before any build of this session, with room for clocks; older times were not made here."""
    return STARTED
