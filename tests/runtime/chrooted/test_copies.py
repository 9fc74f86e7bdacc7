"""Copies of single files and of directories."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.chrooted.copies import copy_into


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
