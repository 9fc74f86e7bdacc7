"""Copies of single files and of directories."""

import os
import socket
from pathlib import Path

import pytest

from pybuild.runtime.chrooted.copies import copy_into, separate_links


def _copied(source: Path, target: Path) -> Path:
    parent = os.open(target.parent, os.O_PATH)
    try:
        copy_into(os.open(source, os.O_PATH), parent, target.name)
    finally:
        os.close(parent)
    return target


def test_a_file_keeps_its_mode_and_time(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_text("text")
    source.chmod(0o640)
    os.utime(source, ns=(1, 10**18 + 5))
    found = _copied(source, tmp_path / "b")
    assert (found.read_text(), found.stat().st_mode, found.stat().st_mtime_ns) == (
        "text",
        source.stat().st_mode,
        10**18 + 5,
    )


def test_a_directory_comes_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").symlink_to("/etc")
    assert (_copied(tmp_path / "a", tmp_path / "copy") / "b/c").is_symlink()


def test_anything_else_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="neither a file nor a directory"):
        _copied(tmp_path / "a", tmp_path / "b")


def _separated(directory: Path) -> None:
    (scratch := directory.parent / "scratch").mkdir()
    top, empty = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (directory, scratch))
    try:
        separate_links(top, empty)
    finally:
        os.close(top)
        os.close(empty)
    assert os.listdir(scratch) == []


def test_files_with_links_elsewhere_are_copied_and_their_links_here_kept(tmp_path: Path) -> None:
    outside, here = tmp_path / "outside", tmp_path / "here"
    (here / "b").mkdir(parents=True)
    outside.write_text("text")
    outside.chmod(0o4751)
    for name in ("a", "b/a"):
        (here / name).hardlink_to(outside)
    os.utime(here / "b", (5, 5))
    _separated(here)
    assert outside.stat().st_nlink == 1
    assert (here / "a").samefile(here / "b/a")
    copied = (here / "a").stat()
    assert (copied.st_mode, copied.st_mtime_ns) == (outside.stat().st_mode, outside.stat().st_mtime_ns)
    assert (here / "b").stat().st_mtime == 5
    (here / "a").write_text("changed")
    assert outside.read_text() == "text"


def test_files_of_every_type_are_separated_and_others_left_alone(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "own").write_text("own")
    (here / "other").hardlink_to(here / "own")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(tmp_path / "socket"))
    for name in ("link", "fifo", "socket"):
        os.link(tmp_path / name, here / name, follow_symlinks=False)
    before = (here / "own").stat()
    _separated(here)
    assert sorted(os.listdir(here)) == ["fifo", "link", "other", "own"]
    assert [(tmp_path / name).lstat().st_nlink for name in ("link", "fifo", "socket")] == [1, 1, 1]
    assert os.readlink(here / "link") == "nowhere"
    assert (here / "own").stat() == before
