"""Entries of an archive from files of this host."""

import os
import socket
import stat
from pathlib import Path

import pytest

from pybuild.builder.oci.layers.host_entry import entry_of, portable_xattrs
from pybuild.builder.oci.tar.entry import EntryKind


def status(mode: int, *, device: int = 0, size: int = 0, mtime_ns: int = 0) -> os.stat_result:
    values = (mode, 1, 1, 1, 7, 8, size, 0, mtime_ns // 10**9, 0)
    more = {"st_rdev": device, "st_mtime_ns": mtime_ns}
    return os.stat_result(values, more)


def test_a_file_keeps_its_mode_owner_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    path.chmod(0o4751)
    os.utime(path, ns=(0, 5_000_000_007))
    entry = entry_of("a/file", path.lstat())
    assert entry is not None
    assert (entry.path, entry.kind, entry.mode, entry.size) == ("a/file", EntryKind.FILE, 0o4751, 3)
    assert (entry.uid, entry.gid) == (os.getuid(), os.getgid())
    assert (entry.mtime, entry.nanoseconds) == (5, 7)


def test_a_time_before_1970_has_a_fraction_that_counts_upwards() -> None:
    entry = entry_of("f", status(stat.S_IFREG, mtime_ns=-1))
    assert entry is not None
    assert (entry.mtime, entry.nanoseconds, entry.mtime_ns) == (-1, 999_999_999, -1)


def test_only_a_file_has_a_size_and_only_a_device_has_numbers() -> None:
    directory = entry_of("d", status(stat.S_IFDIR | 0o755, size=4096, device=os.makedev(3, 4)))
    device = entry_of("c", status(stat.S_IFCHR | 0o600, size=9, device=os.makedev(3, 4)))
    assert directory is not None
    assert device is not None
    assert (directory.kind, directory.size, directory.dev_major, directory.dev_minor) == (EntryKind.DIRECTORY, 0, 0, 0)
    assert (device.kind, device.size, device.dev_major, device.dev_minor) == (EntryKind.CHAR, 0, 3, 4)


def test_another_owner_replaces_that_of_the_file() -> None:
    entry = entry_of("f", status(stat.S_IFREG), owner=(0, 0))
    assert entry is not None
    assert (entry.uid, entry.gid) == (0, 0)


def test_a_socket_and_the_mark_of_overlayfs_have_no_entry(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.fspath(tmp_path / "s"))
        assert entry_of("s", (tmp_path / "s").lstat()) is None
    assert entry_of("w", status(stat.S_IFCHR, device=0)) is None
    assert entry_of("b", status(stat.S_IFBLK, device=0)) is not None


@pytest.mark.parametrize("name", ["trusted.overlay.opaque", "security.selinux", "user.pybuild.owner"])
def test_attributes_of_this_host_are_left_out(name: str) -> None:
    assert portable_xattrs([(name, b"x"), ("user.mine", b"y")]) == (("user.mine", b"y"),)


def test_capabilities_lose_the_user_of_the_namespace() -> None:
    value = b"\x01\x00\x00\x03" + bytes(range(20))
    ((name, kept),) = portable_xattrs([("security.capability", value)])
    assert (name, kept) == ("security.capability", b"\x01\x00\x00\x02" + bytes(range(16)))
