"""The snapshotters, each of which passes the same tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter
from pybuild.runtime.snapshots.snapshotter import Snapshotter
from tests.contracts.snapshotters import mounts_below
from tests.helpers.hosts import need_root


@pytest.fixture
def host_keeps_its_mounts(tmp_path: Path) -> Iterator[None]:
    need_root()
    descriptors = sorted(os.listdir("/proc/self/fd"))
    yield
    assert mounts_below(tmp_path) == []
    assert sorted(os.listdir("/proc/self/fd")) == descriptors


@pytest.fixture(params=[OverlaySnapshotter, CopyingSnapshotter])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Snapshotter]:
    return lambda: request.param(tmp_path / "snapshots")


@pytest.fixture
def keeper(make: Callable[[], Snapshotter]) -> Iterator[Snapshotter]:
    made = make()
    yield made
    made.begin_use(lambda _name: None)
