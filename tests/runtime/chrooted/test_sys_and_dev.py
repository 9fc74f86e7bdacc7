"""/proc, /sys and /dev of a chroot hold files and nodes, and lead nowhere."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.chrooted.sys_and_dev import make_dev, make_sys, open_streams
from pybuild.runtime.sandbox.inside.proc_files import fill_proc
from tests.helpers.hosts import need_root


@pytest.mark.parametrize("make", [fill_proc, make_sys, make_dev])
def test_no_link_leads_out(tmp_path: Path, make: Callable[[int], None]) -> None:
    need_root()
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        make(directory)
    finally:
        os.close(directory)
    found = list(tmp_path.rglob("*"))
    assert found
    for path in found:
        assert path.stat().st_dev == tmp_path.stat().st_dev
        assert not path.is_symlink() or path.resolve().is_relative_to(tmp_path)
    assert not (tmp_path / "self/fd").exists()


def test_streams_are_pipes_with_a_name(tmp_path: Path) -> None:
    need_root()
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        make_dev(directory)
        for (reader, writer), name in zip(open_streams(directory), ("stdout", "stderr"), strict=True):
            os.write(writer, b"by descriptor ")
            (tmp_path / name).write_text("by name")
            assert os.read(reader, 100) == b"by descriptor by name"
            assert stat.S_ISFIFO(os.fstat(writer).st_mode)
            os.close(reader)
            os.close(writer)
    finally:
        os.close(directory)
