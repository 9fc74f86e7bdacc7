import errno
import os
from pathlib import Path

import pytest

from pybuild.runtime.ownership import table
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.ownership.table import OwnerTable, birth_of


def test_lines_are_seen_by_every_table_of_the_file_and_the_last_one_counts(tmp_path: Path) -> None:
    first, second = OwnerTable(tmp_path / "owners"), OwnerTable(tmp_path / "owners")
    assert second.is_empty()
    first.add([(1, 10, 5, 6), (2, 20, 7, 8)])
    assert (second.owner((1, 10)), second.owner((1, 11))) == (FileOwner(5, 6), None)
    first.add([(1, 10, 0, 0)])
    assert second.entries() == ((1, 10, 0, 0), (2, 20, 7, 8))


def test_without_a_file_lines_are_in_memory() -> None:
    owners = OwnerTable()
    owners.add([(1, 2, 3, 4)])
    assert owners.entries() == ((1, 2, 3, 4),)


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "owners").write_bytes(b"1 2 3\nx y z a\n\n1 2 3 -4\n5 6 7 8\n")
    assert OwnerTable(tmp_path / "owners").entries() == ((5, 6, 7, 8),)


def test_an_inode_is_known_by_its_time_of_birth(tmp_path: Path) -> None:
    births = set()
    for name in ("a", "b"):
        (tmp_path / name).touch()
        fd = os.open(tmp_path / name, os.O_PATH)
        births.add(birth_of(fd))
        os.utime(tmp_path / name, (1, 1))
        births.add(birth_of(fd))
        os.close(fd)
    assert len(births) == 2


def test_a_file_system_that_knows_no_birth_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "statx", lambda *_arguments: bytes(256))
    fd = os.open(tmp_path, os.O_PATH)
    try:
        with pytest.raises(OSError, match="time of birth") as raised:
            birth_of(fd)
    finally:
        os.close(fd)
    assert raised.value.errno == errno.EOPNOTSUPP
