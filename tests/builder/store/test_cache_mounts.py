"""Cache mounts as the store has them, whoever made them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.store.cache_mounts import CacheMount, cache_mounts, in_use, mount_folder, note_use, remove, sweep
from pybuild.builder.store.machine import Machine, open_machine

NAME = "cache mount /c 493 0:0"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    opened = open_machine(tmp_path / "store")
    yield opened
    opened.close()


def one(machine: Machine) -> CacheMount:
    (found,) = cache_mounts(machine)
    return found


def test_a_cache_mount_is_called_by_its_name_and_knows_its_last_use(machine: Machine) -> None:
    mount_folder(NAME, machine).mkdir()
    note_use(NAME, machine)
    path = mount_folder(NAME, machine).with_suffix(".name")
    os.utime(path, (1, 1))
    assert (one(machine).name, one(machine).used) == (NAME, 1)
    note_use(NAME, machine)
    assert one(machine).used > 1
    assert path.read_text() == NAME


def test_one_without_a_name_is_called_by_its_hash(machine: Machine) -> None:
    mount_folder(NAME, machine).mkdir()
    assert one(machine).name == mount_folder(NAME, machine).name


def test_a_lock_of_a_step_shows_its_use(machine: Machine) -> None:
    mount_folder(NAME, machine).mkdir()
    note_use(NAME, machine)
    with machine.locks.shared(f"use {NAME}"):
        assert in_use(one(machine), machine)
    assert not in_use(one(machine), machine)


def test_what_is_removed_is_gone_with_all_that_a_step_left_in_it(machine: Machine) -> None:
    folder = mount_folder(NAME, machine)
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a").chmod(0)
    (folder / "link").symlink_to("/etc")
    note_use(NAME, machine)
    remove(one(machine))
    assert list((machine.root / "cache-mounts").iterdir()) == []
    assert Path("/etc").is_dir()


def test_what_killed_builders_left_is_swept_and_the_rest_stays(machine: Machine) -> None:
    folder = mount_folder(NAME, machine)
    folder.mkdir()
    note_use(NAME, machine)
    for name in ("new-x", "old-x-1"):
        (folder.parent / name / "deep").mkdir(parents=True)
    (folder.parent / "0.name").write_text("cache mount lost")
    sweep(machine)
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.name"}
