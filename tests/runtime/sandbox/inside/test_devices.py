"""Device nodes and covers, in a mount namespace of the test's own; test_sandbox.py looks at them from inside."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.sandbox.inside import devices
from pybuild.runtime.sandbox.inside.devices import Nodes, host_node
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from tests.runtime.namespaces import in_mount_namespace


def test_a_node_is_an_inode_of_its_own_and_works() -> None:
    def work() -> object:
        tree = Nodes(ScratchSpace()).clone("zero")
        path = f"/proc/self/fd/{tree}"
        os.chmod(path, 0o600)
        with open(path, "rb") as device:
            data = device.read(4)
        return data, os.fstat(tree).st_dev != os.stat("/dev/zero").st_dev, oct(os.stat("/dev/zero").st_mode)

    assert in_mount_namespace(work) == f"({bytes(4)!r}, True, '0o20666')"


def test_where_nodes_cannot_be_made_those_of_the_host_are_bound_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    def work() -> object:
        monkeypatch.setattr(os, "mknod", refuse)
        tree = Nodes(ScratchSpace()).clone("null")
        path = f"/proc/self/fd/{tree}"
        with pytest.raises(OSError, match="Read-only"):
            os.chmod(path, 0o600)
        with open(path, "wb") as device:
            return device.write(b"gone")

    assert in_mount_namespace(work) == "4"


def test_a_host_file_with_the_name_of_a_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> object:
        monkeypatch.setitem(devices._NODES, "null", (1, 5))
        with pytest.raises(OSError, match="not the device of this name") as caught:
            host_node("null")
        return caught.value.errno

    assert in_mount_namespace(work) == "1"


def test_a_cover_hides_files_and_directories_and_passes_over_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "file").write_text("shown")

    def work() -> object:
        nodes = Nodes(ScratchSpace())
        tree = os.open(tmp_path, os.O_PATH)
        for name in ("folder", "file", "missing", "missing/more"):
            nodes.cover(tree, name)
        with pytest.raises(OSError, match="Read-only"):
            os.chmod(tmp_path / "file", 0o777)
        return os.listdir(tmp_path / "folder"), (tmp_path / "file").read_text()

    assert in_mount_namespace(work) == "([], '')"
    assert (tmp_path / "file").read_text() == "shown"


def test_a_cover_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("shown")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("../victim")

    def work() -> object:
        with pytest.raises(Exception, match="cover link: Too many levels of symbolic links"):
            Nodes(ScratchSpace()).cover(os.open(tmp_path / "tree", os.O_PATH), "link")
        return (tmp_path / "victim").read_text()

    assert in_mount_namespace(work) == "shown"
