import os
from pathlib import Path

import pytest

from pybuild.runtime.paths.sparse import copy_data, data_ranges, has_holes
from pybuild.runtime.snapshots.tree_copies import copy_tree
from pybuild.runtime.stopping import check, stoppable
from tests.helpers.hosts import need_root
from tests.helpers.sparse import MIB, on_disk, sparse_file


class Stop(Exception):
    pass


def stop() -> None:
    raise Stop


def test_only_data_is_found(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "f", 40 * MIB, (0, b"first"), (20 * MIB, b"middle"))
    with path.open("rb") as file:
        found = list(data_ranges(file.fileno(), 40 * MIB))

    assert [start for start, _ in found] == [0, 20 * MIB]
    assert all(end - start < MIB for start, end in found)


@pytest.mark.parametrize("size", [0, 5, 10 * MIB])
def test_a_file_without_data_has_none(tmp_path: Path, size: int) -> None:
    with sparse_file(tmp_path / "f", size).open("rb") as file:
        assert list(data_ranges(file.fileno(), size)) == []


def test_a_file_that_became_shorter_is_all_data(tmp_path: Path) -> None:
    with sparse_file(tmp_path / "f", 10).open("rb") as file:
        assert list(data_ranges(file.fileno(), 30)) == [(0, 30)]


def test_a_copy_has_the_content_and_the_holes(tmp_path: Path) -> None:
    old = sparse_file(tmp_path / "old", 30 * MIB, (7 * MIB, b"x" * 5000))
    new = tmp_path / "new"
    with old.open("rb") as source, new.open("wb") as target:
        assert has_holes(os.fstat(source.fileno()))
        copy_data(source.fileno(), target.fileno(), os.fstat(source.fileno()))

    assert new.read_bytes() == old.read_bytes()
    assert on_disk(new) < MIB


def test_work_stops_in_the_thread_that_was_told_to(tmp_path: Path) -> None:
    need_root()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "f").write_bytes(b"content")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with stoppable(stop), pytest.raises(Stop):
        copy_tree(tmp_path / "old", tmp_path / "a")
    copy_tree(tmp_path / "old", tmp_path / "b")

    assert [path.name for path in (tmp_path / "b").iterdir()] == ["f"]


def test_a_stop_ends_with_its_block() -> None:
    with stoppable(stop):
        with stoppable(lambda: None):
            check()
        with pytest.raises(Stop):
            check()
    check()
