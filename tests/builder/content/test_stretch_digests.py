import os
import time

import pytest

from pybuild.builder.content import stretch_digests
from pybuild.builder.content.file_digests import FileDigests, Memory
from pybuild.builder.content.selection_digest import content_digest, divide
from pybuild.builder.content.selections import select
from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.content.stretch_digests import StretchDigests
from pybuild.builder.plan.ops import Pick
from pybuild.runtime.paths.safepath import Root


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Three directories of 200 files, all of them old."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10 * 1_000_000_000)
    place = tmp_path / "context"
    for name in "abc":
        (place / name).mkdir(parents=True)
        for number in range(200):
            (place / name / str(number)).write_text(f"{name} {number}")
    return place


@pytest.fixture
def looked_at(monkeypatch):
    """The paths of files whose digests were looked up, or made."""
    paths = []
    asked = FileDigests.__call__
    monkeypatch.setattr(FileDigests, "__call__", lambda self, item: paths.append(item.path) or asked(self, item))
    return paths


def content_of(directory, database, pick=".", source_id="here"):
    with Root.open_host(directory) as root:
        source = SourceTree(root=root, owned_by_root=True, id=source_id)
        groups = select(source, Pick(path=pick, input=1))
        with (
            FileDigests(source, database, Memory()) as files,
            StretchDigests(source, database, files) as digests,
        ):
            return content_digest(groups, divide(source, groups), digests)


def test_of_a_file_that_changed_only_the_neighbours_are_looked_at(directory, database, looked_at):
    first = content_of(directory, database)
    assert len(looked_at) == 600
    looked_at.clear()
    assert content_of(directory, database) == first
    assert looked_at == []
    (directory / "b" / "7").write_text("touched")
    second = content_of(directory, database)
    assert second not in {first, None}
    assert "b/7" in looked_at
    assert len(looked_at) <= 200
    assert all(path.startswith("b/") for path in looked_at)
    assert second == content_of(directory, database, source_id="")


def test_a_part_that_was_selected_as_a_whole_is_known(directory, database, looked_at):
    content_of(directory, database)
    looked_at.clear()
    found = content_of(directory, database, "b")
    assert looked_at == []
    assert found == content_of(directory, database, "b", source_id="")


@pytest.mark.parametrize("change", ["link", "mode"])
def test_other_changes_than_of_bytes_count(change, directory, database):
    os.symlink("there", directory / "a" / "link")
    before = content_of(directory, database)
    if change == "link":
        (directory / "a" / "link").unlink()
        os.symlink("elsewhere", directory / "a" / "link")
    else:
        (directory / "a" / "7").chmod(0o600)
    assert content_of(directory, database) not in {before, None}


def test_a_stretch_with_a_young_file_is_not_remembered(directory, database, looked_at, monkeypatch):
    monkeypatch.setattr(stretch_digests, "TICK_NS", 10**18)
    content_of(directory, database)
    looked_at.clear()
    content_of(directory, database)
    assert len(looked_at) == 600


def test_a_small_selection_forgets_nothing_of_the_others(directory, database, looked_at):
    content_of(directory, database)
    (directory / "a" / "7").write_text("touched")
    content_of(directory, database, "a/7")
    looked_at.clear()
    content_of(directory, database)
    assert 0 < len(looked_at) <= 200


@pytest.mark.parametrize("most", [3, 100])
def test_of_many_digests_those_that_are_asked_for_stay(most, directory, database, looked_at, monkeypatch):
    monkeypatch.setattr(stretch_digests, "_MOST", most)
    content_of(directory, database)
    for number in range(100):
        (directory / "a" / "7").write_text(str(number))
        content_of(directory, database)
    row = stretch_digests.load_row(database, f"stretches {stretch_digests._FORMAT} here")
    assert len(row) <= max(most, 50)
    looked_at.clear()
    content_of(directory, database)
    assert looked_at == []
