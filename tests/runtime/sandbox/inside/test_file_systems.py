"""File systems with a source and options, as detached mounts. They are those of memory, which any root may mount."""

import os

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.sandbox.inside.file_systems import FileSystem, open_file_system


def test_options_of_the_mount_and_of_the_file_system() -> None:
    tree = open_file_system(b"tmpfs", (b"size=64k", b"mode=711", b"noexec", b"nosuid", b"relatime"), b"disk")
    try:
        found, status = os.fstatvfs(tree), os.fstat(tree)
        assert found.f_blocks * found.f_frsize == 64 << 10
        assert status.st_mode & 0o777 == 0o711
        assert found.f_flag & (os.ST_NODEV | os.ST_NOEXEC | os.ST_NOSUID) == os.ST_NODEV | os.ST_NOEXEC | os.ST_NOSUID
        assert not found.f_flag & os.ST_RDONLY
    finally:
        os.close(tree)


def test_a_mount_that_is_read_only() -> None:
    tree = FileSystem(b"tmpfs", (b"size=64k",), True, b"disk", b"/d").make(None)
    try:
        assert os.fstatvfs(tree).f_flag & os.ST_RDONLY
    finally:
        os.close(tree)


@pytest.mark.parametrize(
    ("kind", "option", "reason"),
    [
        (b"nonefs", b"ro", "mount nonefs :/x: the kernel of this host has no file system nonefs"),
        (b"tmpfs", b"colour=red", "Unknown parameter 'colour'"),
        (b"tmpfs", b"colour", "Unknown parameter 'colour'"),
    ],
)
def test_errors_have_the_reason_of_the_kernel(kind: bytes, option: bytes, reason: str) -> None:
    with pytest.raises(SandboxError, match=reason):
        FileSystem(kind, (option,), False, b":/x", b"/d").make(None)
