"""Errors of a full or read-only disk, and the reserve of a store."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from pybuild.builder.errors import BuildError, StoreError
from pybuild.builder.store import free_space


def failed(number: int, *names: str) -> OSError:
    """An error of the kernel about these files."""
    return OSError(number, os.strerror(number), *(names[:1] or [None]), None, *names[1:])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("names", [(), ("/store/a",), ("relative",), ("/proc/self/fd/7/a",), ("/store/a", "/store/b")])
def test_a_full_disk_is_blamed_on_the_store(number: int, names: tuple[str, ...]) -> None:
    found = free_space.store_failure(failed(number, *names), Path("/store"))
    assert found is not None
    assert str(found) == "no space left in /store"
    assert "pybuild prune -a" in found.hint


@pytest.mark.parametrize("names", [("/elsewhere",), ("/store2/a",), ("/store/a", "/elsewhere/b")])
def test_another_disk_is_not_the_stores_fault(names: tuple[str, ...]) -> None:
    assert free_space.store_failure(failed(errno.ENOSPC, *names), Path("/store")) is None


def test_a_disk_that_is_read_only_is_named_and_other_failures_are_not_about_room() -> None:
    found = free_space.store_failure(failed(errno.EROFS, "/store/a"), Path("/store"))
    assert str(found) == "the store /store is read-only"
    assert free_space.store_failure(failed(errno.EACCES, "/store/a"), Path("/store")) is None
    assert "cannot be written" in str(free_space.not_writable(Path("/store"), failed(errno.EACCES, "/store/a")))


def test_a_block_that_stores_raises_the_error_of_the_store_alone(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no space left in"), free_space.storing(tmp_path):
        raise failed(errno.ENOSPC)
    with pytest.raises(PermissionError), free_space.storing(tmp_path):
        raise failed(errno.EACCES)


def test_a_write_without_a_name_gets_that_of_its_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as full, free_space.writing(tmp_path / "out"):
        raise failed(errno.ENOSPC)
    assert full.value.filename == str(tmp_path / "out")
    assert free_space.store_failure(full.value, Path("/store")) is None
    with pytest.raises(OSError, match="Input/output") as other, free_space.writing(tmp_path / "out"):
        raise failed(errno.EIO)
    assert other.value.filename is None


def test_the_directory_of_temporary_files_is_named() -> None:
    with pytest.raises(BuildError, match=tempfile.gettempdir()) as full, free_space.in_temporary():
        raise failed(errno.ENOSPC)
    assert "$TMPDIR" in full.value.hint
    with pytest.raises(OSError, match="Input/output"), free_space.in_temporary():
        raise failed(errno.EIO)


def test_a_reserve_occupies_space_until_it_is_given_up(tmp_path: Path) -> None:
    free_space.make_reserve(tmp_path)
    files = list((tmp_path / "reserve").iterdir())
    assert sum(file.stat().st_blocks * 512 for file in files) >= len(files) * (128 << 10) > 0
    assert free_space.give_up_reserve(tmp_path)
    assert list((tmp_path / "reserve").iterdir()) == []
    assert not free_space.give_up_reserve(tmp_path)


def test_no_reserve_is_made_where_space_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_space, "disk_space", lambda _root: (1 << 30, 1 << 20))
    free_space.make_reserve(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_is_short_of_bytes_of_inodes_or_of_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not free_space.is_short(tmp_path)
    assert list(tmp_path.iterdir()) == [], "the file that shows it is removed"
    with monkeypatch.context() as patch:
        patch.setattr(free_space, "disk_space", lambda _root: (1 << 30, 1 << 10))
        assert free_space.is_short(tmp_path)
    status = os.statvfs(tmp_path)
    for inodes, short in ((0, False), (1000, True)):
        with monkeypatch.context() as patch:
            changed = os.statvfs_result((*status[:5], inodes, 0, 0, *status[8:10], status.f_fsid))
            patch.setattr(os, "statvfs", lambda _path, changed=changed: changed)
            patch.setattr(free_space, "disk_space", lambda _root: (1 << 30, 1 << 29))
            assert free_space.is_short(tmp_path) is short

    def over_quota(_path: Path) -> None:
        raise failed(errno.EDQUOT)

    monkeypatch.setattr(free_space, "_hold", over_quota)
    assert free_space.is_short(tmp_path)
