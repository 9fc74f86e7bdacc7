import fcntl
import os
from array import array
from pathlib import Path

import pytest

from pybuild.runtime.snapshots import ext4_spreading
from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
from tests.helpers.disks import small_disk
from tests.helpers.hosts import need_root


def flags_of(directory: Path) -> int:
    handle, flags = os.open(directory, os.O_RDONLY), array("l", [0])
    try:
        fcntl.ioctl(handle, ext4_spreading.GET_FLAGS, flags)
    except OSError:
        pytest.skip("no ext4")
    finally:
        os.close(handle)
    return flags[0]


def test_snapshots_are_spread_over_the_disk_once(tmp_path: Path) -> None:
    before = flags_of(tmp_path)
    CopyingSnapshotter(tmp_path / "snapshots")
    assert flags_of(tmp_path / "snapshots") == before | ext4_spreading.TOP_OF_HIERARCHY
    assert flags_of(tmp_path / "snapshots/empty") & ext4_spreading.TOP_OF_HIERARCHY == 0


def test_a_file_system_without_that_hint_does(tmp_path: Path) -> None:
    need_root()
    with small_disk(tmp_path / "disk") as place:
        assert CopyingSnapshotter(place / "snapshots").names() == ()
