import os
import stat
from pathlib import Path

import pytest

from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import ATTRIBUTE, ROOT, FileOwner

_LOOP = FileOwner(5, 6, stat.S_IFBLK, os.makedev(7, 70000))


@pytest.mark.parametrize("owner", [FileOwner(1, 0), FileOwner(4294967294, 33), _LOOP])
def test_what_is_written_is_read(tmp_path: Path, owner: FileOwner) -> None:
    record.write(str(tmp_path), owner)
    assert record.read(str(tmp_path)) == owner
    assert record.visible(os.listxattr(tmp_path)) == []


def test_root_is_no_record(tmp_path: Path) -> None:
    record.write(str(tmp_path), FileOwner(1, 1))
    for _ in range(2):
        record.write(str(tmp_path), ROOT)
        assert os.listxattr(tmp_path) == []
    assert record.read(str(tmp_path)) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1",
        b"1:2:3",
        b"-1:0",
        b"1:4294967295",
        b"99999999999:0",
        b"1:x",
        b"1:2:d:1:3",
        b"1:2:c:1",
        b"1:2:c:5000:1",
        b"0:0:c:0:0",
        b"1:" + b"0" * 100,
        "١:٢".encode(),
    ],
)
def test_what_is_no_record_counts_as_none(tmp_path: Path, value: bytes) -> None:
    os.setxattr(tmp_path, ATTRIBUTE, value)
    assert record.read(str(tmp_path)) is None


def test_what_can_have_no_attribute_has_no_record(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    assert record.read(str(tmp_path / "link"), follow=False) is None
    with pytest.raises(FileNotFoundError):
        record.read(str(tmp_path / "link"))


def test_a_record_changes_the_kind_of_regular_files_alone() -> None:
    assert _LOOP.mode(stat.S_IFREG | 0o640) == stat.S_IFBLK | 0o640
    assert _LOOP.mode(stat.S_IFDIR | 0o755) == stat.S_IFDIR | 0o755
    assert ROOT.mode(stat.S_IFREG | 0o640) == stat.S_IFREG | 0o640
