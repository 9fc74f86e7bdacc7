import errno
import os
import stat
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.local import replace_content, write_directory
from pybuild.builder.outputs.tree import OutputTree


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_text("content")
    (root / "a" / "file").chmod(0o4751)
    os.utime(root / "a" / "file", (7, 7))
    os.link(root / "a" / "file", root / "a" / "b" / "same")
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    (root / "a").chmod(0o555)
    return root


def write(image: Path, dest: Path) -> None:
    fd = os.open(image, os.O_PATH | os.O_DIRECTORY)
    try:
        write_directory((OutputTree("", "", fd),), dest)
    finally:
        os.close(fd)


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_a_tree_becomes_a_directory_of_the_callers(image: Path, tmp_path: Path) -> None:
    dest = tmp_path / "new" / "dest"
    write(image, dest)
    assert names(dest) == ["a", "a/b", "a/b/same", "a/file", "link"]
    file = (dest / "a" / "file").stat()
    assert (stat.S_IMODE(file.st_mode), file.st_mtime, file.st_uid) == (0o751, 7, os.geteuid())
    assert (dest / "a" / "b" / "same").stat().st_ino == file.st_ino
    assert stat.S_IMODE((dest / "a").stat().st_mode) == 0o555
    assert os.readlink(dest / "link") == "/etc/passwd"
    assert os.listdir(tmp_path / "new") == ["dest"]


@pytest.mark.parametrize("name", ["n" * 255, "\N{CJK UNIFIED IDEOGRAPH-9577}" * 85], ids=["ascii", "wide"])
def test_a_name_of_255_bytes_still_has_room_for_its_temporary_one(image: Path, tmp_path: Path, name: str) -> None:
    write(image, tmp_path / "new" / name)
    assert os.listdir(tmp_path / "new") == [name]


def test_writing_again_replaces_files_and_keeps_what_is_beside_them(image: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    write(image, dest)
    (dest / "mine").write_text("mine")
    (image / "a" / "file").write_text("changed")
    write(image, dest)
    assert (dest / "a" / "file").read_text() == "changed"
    assert (dest / "a" / "b" / "same").read_text() == "changed"
    assert (dest / "mine").read_text() == "mine"
    assert [name for name in names(dest) if "pybuild" in name] == []


def test_links_in_the_destination_are_replaced_and_never_followed(image: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "b").mkdir(parents=True)
    (victim / "file").write_text("precious")
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / "a").symlink_to(victim)
    (dest / "link").symlink_to(victim / "file")
    write(image, dest)
    assert names(victim) == ["b", "file"]
    assert (victim / "file").read_text() == "precious"
    assert not (dest / "a").is_symlink()
    assert (dest / "a" / "file").read_text() == "content"


def test_a_directory_where_the_image_has_a_file_is_kept_and_told(image: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    (dest / "a" / "file" / "mine").mkdir(parents=True)
    with pytest.raises(RequestError, match="a/file: is a directory"):
        write(image, dest)
    assert "a/file/mine" in names(dest)
    assert [name for name in names(dest) if "pybuild" in name] == []


def test_a_new_directory_appears_whole_or_not_at_all(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        assert not (tmp_path / "dest").exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pybuild.builder.outputs.local.copy_data", fail)
    before = names(tmp_path)
    with pytest.raises(OSError, match="No space"):
        write(image, tmp_path / "dest")
    assert names(tmp_path) == before


def test_a_directory_is_emptied_of_what_the_image_has_not_and_no_link_is_followed(image: Path, tmp_path: Path) -> None:
    dest, victim = tmp_path / "dest", tmp_path / "victim"
    (dest / "old" / "deep").mkdir(parents=True)
    victim.mkdir()
    (victim / "precious").write_text("mine")
    (dest / "away").symlink_to(victim)
    (dest / "a").symlink_to(victim)
    (dest / "link").mkdir()
    before = dest.stat().st_ino
    fd = os.open(image, os.O_PATH | os.O_DIRECTORY)
    try:
        replace_content((OutputTree("", "", fd),), dest)
        replace_content((OutputTree("", "", fd),), tmp_path / "fresh" / "dest")
    finally:
        os.close(fd)
    assert names(dest) == names(tmp_path / "fresh" / "dest") == ["a", "a/b", "a/b/same", "a/file", "link"]
    assert (dest.stat().st_ino, (victim / "precious").read_text()) == (before, "mine")


def test_what_cannot_be_read_leaves_the_directory_as_it_was(tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    (dest / "old").mkdir(parents=True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        replace_content((OutputTree("", "", 9999),), dest)
    assert os.listdir(dest) == ["old"]


def test_what_is_refused_leaves_the_destination_as_it_was(image: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    (dest / "a" / "b" / "same").mkdir(parents=True)
    (dest / "a" / "file").write_text("mine")
    with pytest.raises(RequestError, match=r"^a/b/same: is a directory in the destination"):
        write(image, dest)
    assert names(dest) == ["a", "a/b", "a/b/same", "a/file"]
    assert (dest / "a" / "file").read_text() == "mine"


def test_a_failure_leaves_none_of_the_directories_above(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    (tmp_path / "there").mkdir()
    monkeypatch.setattr("pybuild.builder.outputs.local.copy_data", full)
    with pytest.raises(OSError, match="full"):
        write(image, tmp_path / "there" / "x" / "y" / "dest")
    assert names(tmp_path / "there") == []


def test_a_destination_that_cannot_be_made_is_named(image: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory: '/proc/pybuild'"):
        write(image, Path("/proc/pybuild"))
