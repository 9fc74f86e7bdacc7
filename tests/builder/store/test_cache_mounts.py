"""Cache mounts as the store has them, whoever made them."""

import os
from pathlib import Path

import pytest

from pybuild.builder.store.cache_mounts import (
    StoredMount,
    cache_mounts,
    check_map,
    in_use,
    mount_directory,
    note_use,
    remove,
    sweep,
)
from pybuild.builder.store.store import Store
from pybuild.runtime.snapshots.id_map import id_map

NAME = "cache mount /c 493 0:0"


def one(store: Store) -> StoredMount:
    (found,) = cache_mounts(store)
    return found


def test_a_cache_mount_is_called_by_its_name_and_knows_its_last_use(store: Store) -> None:
    mount_directory(NAME, store).mkdir()
    note_use(NAME, store)
    path = mount_directory(NAME, store).with_suffix(".name")
    os.utime(path, (1, 1))
    assert (one(store).name, one(store).used) == (NAME, 1)
    note_use(NAME, store)
    assert one(store).used > 1
    assert path.read_text() == NAME


def test_files_that_a_loss_of_power_left_empty_are_written_again(store: Store) -> None:
    directory = mount_directory(NAME, store)
    directory.mkdir()
    for suffix in (".name", ".map"):
        directory.with_suffix(suffix).touch()
    assert one(store).name == directory.name
    check_map(NAME, store)
    note_use(NAME, store)
    assert one(store).name == NAME
    assert directory.with_suffix(".map").read_text() == id_map()
    assert sorted(path.suffix for path in directory.parent.iterdir()) == ["", ".map", ".name"]


def test_they_are_on_the_disk_before_they_have_their_names(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(os.fstat(fd).st_ino))
    check_map(NAME, store)
    note_use(NAME, store)
    assert flushed == [mount_directory(NAME, store).with_suffix(suffix).stat().st_ino for suffix in (".map", ".name")]


def test_the_directory_of_a_name_stays_the_same(store: Store) -> None:
    directory = "e5f6945ae995c7e0a070f027222f4327859406311a739649b9e4322db74f9da4"
    assert mount_directory("cache mount /root/.cache", store) == store.root / "cache-mounts" / directory


def test_one_without_a_name_is_called_by_its_hash(store: Store) -> None:
    mount_directory(NAME, store).mkdir()
    assert one(store).name == mount_directory(NAME, store).name


def test_a_lock_of_a_step_shows_its_use(store: Store) -> None:
    mount_directory(NAME, store).mkdir()
    note_use(NAME, store)
    with store.locks.shared(f"use {NAME}"):
        assert in_use(one(store), store)
    assert not in_use(one(store), store)


def test_what_is_removed_is_gone_with_all_that_a_step_left_in_it(store: Store) -> None:
    directory = mount_directory(NAME, store)
    (directory / "a" / "b").mkdir(parents=True)
    (directory / "a").chmod(0)
    (directory / "link").symlink_to("/etc")
    note_use(NAME, store)
    remove(one(store))
    assert list((store.root / "cache-mounts").iterdir()) == []
    assert Path("/etc").is_dir()


def test_what_killed_builders_left_is_swept_and_the_rest_stays(store: Store) -> None:
    directory = mount_directory(NAME, store)
    directory.mkdir()
    note_use(NAME, store)
    for name in ("new-x", "old-x-1"):
        (directory.parent / name / "deep").mkdir(parents=True)
    (directory.parent / "0.name").write_text("cache mount lost")
    sweep(store)
    assert {path.name for path in directory.parent.iterdir()} == {directory.name, f"{directory.name}.name"}
