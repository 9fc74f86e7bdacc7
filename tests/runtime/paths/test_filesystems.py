import os
import subprocess
from pathlib import Path

import pytest

from pybuild.runtime.paths import filesystems
from tests.helpers.hosts import need_programs, need_root


def identity_of(path: Path) -> str | None:
    fd = os.open(path, os.O_PATH)
    try:
        return filesystems.identity(fd)
    finally:
        os.close(fd)


def test_a_file_system_that_copies_on_write_is_known_by_its_type(tmp_path: Path) -> None:
    found = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], check=True, capture_output=True, text=True)
    assert filesystems.is_copy_on_write(tmp_path) == (found.stdout.strip() in {"btrfs", "zfs", "bcachefs"})


def test_what_is_mounted_in_turn_at_one_place_is_told_apart(tmp_path: Path) -> None:
    need_root()
    place = tmp_path / "place"
    place.mkdir()
    found = [identity_of(place)]
    for _ in range(2):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        found += [identity_of(place), identity_of(place)]
        subprocess.run(["umount", place], check=True)
    found.append(identity_of(place))

    assert found[1] == found[2]
    assert found[3] == found[4]
    assert found[0] == found[5]
    assert len(set(found)) == 3


@pytest.mark.parametrize("flags", ["loop", "loop,ro"])
def test_images_that_one_program_makes_alike_are_told_apart(tmp_path: Path, flags: str) -> None:
    need_root()
    need_programs(["mkfs.ext4"])
    place = tmp_path / "place"
    place.mkdir()
    found = []
    for name in ("one", "two"):
        image = tmp_path / name
        with image.open("wb") as file:
            file.truncate(4 << 20)
        make = ["mkfs.ext4", "-q", "-U", "00000000-0000-4000-8000-000000000000", image]
        subprocess.run(make, check=True)
        subprocess.run(["mount", "-o", flags, image, place], check=True)
        try:
            found.append(identity_of(place))
        finally:
            subprocess.run(["umount", place], check=True)
    assert None not in found
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("kind", "known"), [(0x6969, False), (0x65735546, False), (0xFE534D42, False), (0xEF53, True), (0x794C7630, True)]
)
def test_change_times_that_others_say_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, known: bool
) -> None:
    class Libc:
        def fstatfs(self, _fd: int, buffer: object) -> int:
            buffer[0:8] = kind.to_bytes(8, "little")  # type: ignore[index]
            return 0

    monkeypatch.setattr(filesystems, "_libc", Libc())

    assert (identity_of(tmp_path) is not None) is known


def test_a_disk_that_counts_no_blocks_is_not_full(tmp_path: Path) -> None:
    need_root()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", tmp_path], check=True)
    try:
        assert filesystems.disk_space(tmp_path) == (filesystems.UNCOUNTED, filesystems.UNCOUNTED)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_the_free_space_is_what_is_left_for_users(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    size, free = filesystems.disk_space(tmp_path)
    assert size == found.f_blocks * found.f_frsize
    assert 0 <= free <= size
