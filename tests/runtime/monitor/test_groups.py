import os
from pathlib import Path

import pytest

from pybuild.runtime.monitor import groups


def test_memory_kills_are_counted_in_both_hierarchies(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for directory in (old, new):
        directory.mkdir()
    (old / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (new / "memory.events").write_text("low 0\noom 1\noom_kill 3\noom_group_kill 0\n")
    assert groups.oom_kills((os.fsencode(tmp_path), os.fsencode(old))) == 2
    assert groups.oom_kills((os.fsencode(new),)) == 3
    assert groups.oom_kills(()) == 0


@pytest.mark.parametrize(
    ("name", "stopped", "goes_on"), [("cgroup.freeze", "1", "0"), ("freezer.state", "FROZEN", "THAWED")]
)
def test_a_group_is_frozen_in_the_words_of_its_hierarchy(tmp_path: Path, name: str, stopped: str, goes_on: str) -> None:
    (tmp_path / name).write_text("")
    for frozen, text in ((True, stopped), (False, goes_on)):
        assert groups.freeze((os.fsencode(tmp_path),), frozen=frozen)
        assert (tmp_path / name).read_text() == text


def test_without_a_group_nothing_is_frozen(tmp_path: Path) -> None:
    assert not groups.freeze((os.fsencode(tmp_path),), frozen=True)
    groups.kill((os.fsencode(tmp_path),))


def test_groups_that_are_gone_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    groups.remove((os.fsencode(tmp_path / "here"), os.fsencode(tmp_path / "gone")))
    assert list(tmp_path.iterdir()) == []


def test_groups_that_a_container_made_in_its_own_go_with_it(tmp_path: Path) -> None:
    (tmp_path / "it/system.slice/a.service/inner").mkdir(parents=True)
    (tmp_path / "it/init.scope").mkdir()
    (tmp_path / "other").mkdir()
    groups.remove((os.fsencode(tmp_path / "it"), os.fsencode(tmp_path / "gone")))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
