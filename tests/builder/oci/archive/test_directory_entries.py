"""The files of a directory as entries of an archive."""

import os
from pathlib import Path

from pybuild.builder.oci.archive.directory_entries import directory_entries
from pybuild.builder.oci.tar.entry import EntryKind


def found(root: Path) -> dict[str, tuple[EntryKind, str, bytes]]:
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return {
            entry.path: (entry.kind, entry.linkname, content.read(100) if entry.kind is EntryKind.FILE else b"")
            for entry, content in directory_entries(handle)
        }
    finally:
        os.close(handle)


def test_files_directories_and_symlinks_are_yielded(tmp_path: Path) -> None:
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "blobs/sha256/aa").write_bytes(b"blob")
    (tmp_path / "index.json").write_bytes(b"{}")
    (tmp_path / "link").symlink_to("../outside")
    assert found(tmp_path) == {
        "blobs": (EntryKind.DIRECTORY, "", b""),
        "blobs/sha256": (EntryKind.DIRECTORY, "", b""),
        "blobs/sha256/aa": (EntryKind.FILE, "", b"blob"),
        "index.json": (EntryKind.FILE, "", b"{}"),
        "link": (EntryKind.SYMLINK, "../outside", b""),
    }


def test_a_directory_comes_before_its_entries_and_a_pipe_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    os.mkfifo(tmp_path / "a/pipe")
    assert list(found(tmp_path)) == ["a", "a/b"]


def test_a_symlink_to_a_directory_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"x")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to("../outside")
    assert list(found(tmp_path / "root")) == ["link"]


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    handle = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert [entry.size for entry, _ in directory_entries(handle)] == [5]
    finally:
        os.close(handle)
