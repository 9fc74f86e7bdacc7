"""Mounts that are attached nowhere, in a mount namespace of the test's own."""

import os
from errno import EINVAL
from pathlib import Path

import pytest

from pybuild.runtime.kernel.detached_mounts import INERT, clone, filesystem, is_directory
from pybuild.runtime.kernel.syscalls import AT_FDCWD, MOUNT_ATTR_RDONLY
from tests.runtime.namespaces import in_mount_namespace


def test_a_new_file_system_has_its_options() -> None:
    def work() -> object:
        tree = filesystem("tmpfs", (("mode", "0710"), ("inode64", None)), INERT)
        return oct(os.fstat(tree).st_mode), is_directory(tree), os.fstatvfs(tree).f_flag & os.ST_NOEXEC

    assert in_mount_namespace(work) == f"('0o40710', True, {os.ST_NOEXEC})"


def test_an_error_has_the_reason_of_the_kernel() -> None:
    def work() -> object:
        with pytest.raises(OSError, match="Invalid argument \\(tmpfs: Unknown parameter 'colour'\\)") as caught:
            filesystem("tmpfs", (("colour", "red"),))
        return caught.value.errno

    assert in_mount_namespace(work) == str(EINVAL)


def test_a_clone_has_its_own_attributes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")

    def work() -> object:
        tree = clone(AT_FDCWD, os.fsencode(tmp_path / "file"), MOUNT_ATTR_RDONLY)
        with pytest.raises(OSError, match="Read-only"):
            os.open(f"/proc/self/fd/{tree}", os.O_WRONLY)
        (tmp_path / "file").write_text("still writable")
        return is_directory(tree), Path(f"/proc/self/fd/{tree}").read_text()

    assert in_mount_namespace(work) == "(False, 'still writable')"
