import os
import signal
import subprocess
from collections.abc import Iterator
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


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_each_process_of_a_group_is_killed(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_PATIENCE", 1)  # nothing takes the number out of this file
    (tmp_path / "cgroup.procs").write_text(f"{sleeper.pid}\n")
    groups.kill_all((os.fsencode(tmp_path / "gone"), os.fsencode(tmp_path)))
    assert sleeper.wait() == -signal.SIGKILL


def test_a_process_that_has_left_meanwhile_lives(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its number may be that of another process by now.
    answers = [[sleeper.pid], [], []]
    monkeypatch.setattr(groups, "_members", lambda _: answers.pop(0))
    groups.kill_all((os.fsencode(tmp_path),))
    assert sleeper.poll() is None
