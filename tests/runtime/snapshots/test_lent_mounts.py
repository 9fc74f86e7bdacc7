"""What was lent to an active snapshot comes back, whatever became of it there."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.snapshots.lent_mounts import Lent, record, take_back
from pybuild.runtime.snapshots.process_marks import new_mark
from tests.helpers.hosts import need_root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir(mode=0o750)
    (made / "kept").write_text("kept")
    (tmp_path / "active/fs/a/b").mkdir(parents=True)
    record(tmp_path / "active", new_mark(), (Lent.of(made),))
    return made


@pytest.mark.parametrize("place", ["c", "a/c", "a/b/c"])
def test_it_is_found_wherever_it_was_moved(home: Path, tmp_path: Path, place: str) -> None:
    home.rename(tmp_path / "active/fs" / place)
    take_back(tmp_path / "active")
    assert (home / "kept").read_text() == "kept"
    assert not (tmp_path / "active/lent").exists()


def test_a_directory_that_only_has_its_name_is_not_taken(home: Path, tmp_path: Path) -> None:
    home.rename(tmp_path / "active/fs/a/c")
    (tmp_path / "active/fs/home").mkdir()
    take_back(tmp_path / "active")
    assert os.listdir(home) == ["kept"]


def test_what_was_removed_is_made_again(home: Path, tmp_path: Path) -> None:
    need_root()
    os.chown(home, 5, 6)
    record(tmp_path / "active", new_mark(), (Lent.of(home),))
    (home / "kept").unlink()
    home.rmdir()
    take_back(tmp_path / "active")
    found = home.stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, os.listdir(home)) == (0o750, 5, 6, [])


def test_what_was_not_moved_yet_stays(home: Path, tmp_path: Path) -> None:
    take_back(tmp_path / "active")
    assert os.listdir(home) == ["kept"]
    take_back(tmp_path / "active")  # nothing is lent any more
