"""What stands in a tree for one run leaves it as it was."""

import os
import socket
import stat
from pathlib import Path

import pytest

from pybuild.runtime.chrooted.replacements import Places
from pybuild.runtime.snapshots.process_marks import new_mark
from tests.helpers.hosts import need_root

_LONG_AGO = 1_000_000_000


@pytest.fixture
def active(tmp_path: Path) -> Path:
    need_root()
    (tmp_path / "active/fs/etc").mkdir(parents=True)
    (tmp_path / "active/fs/etc/hosts").write_text("of the image")
    (tmp_path / "active/fs/cache").mkdir()
    (tmp_path / "active/fs/cache/old").write_text("old")
    (tmp_path / "active/fs/link").symlink_to("etc")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/kept").write_text("kept")
    for path in (tmp_path / "active/fs/etc", tmp_path / "active/fs"):
        os.utime(path, (_LONG_AGO, _LONG_AGO))
    return tmp_path / "active"


def _looks(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Inode, time and text of all that is below *directory*."""
    paths = sorted(directory.rglob("*"))
    found = ((path, path.lstat()) for path in (directory, *paths))
    return {
        str(path): (status.st_ino, status.st_mtime_ns, path.read_text() if path.is_file() else "")
        for path, status in found
    }


def _write(text: str, parent: int, name: str) -> None:
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=parent), "w", encoding="ascii") as file:
        file.write(text)


def _put(places: Places, target: bytes, text: str) -> bytes:
    return places.put(target, lambda parent, name: _write(text, parent, name), directory=False)


def test_all_is_as_before(active: Path, tmp_path: Path) -> None:
    before = _looks(active / "fs")
    places = Places(active, new_mark())
    assert _put(places, b"/link/hosts", "ours") == b"/etc/hosts"
    assert _put(places, b"/new/deep/file", "ours") == b"/new/deep/file"
    assert places.lend(b"/cache", tmp_path / "home") == b"/cache"
    assert (active / "fs/etc/hosts").read_text() == "ours"
    assert os.listdir(active / "fs/cache") == ["kept"]
    assert (active / "fs/etc").stat().st_mtime == _LONG_AGO
    places.restore()
    assert _looks(active / "fs") == before
    assert os.listdir(tmp_path / "home") == ["kept"]


def test_what_the_step_did_in_a_place_is_gone_and_the_rest_stays(active: Path, tmp_path: Path) -> None:
    places = Places(active, new_mark())
    _put(places, b"/etc/hosts", "ours")
    places.lend(b"/cache", tmp_path / "home")
    (active / "fs/etc/hosts").unlink()
    (active / "fs/etc/hosts").mkdir()
    (active / "fs/etc/own").write_text("")
    (active / "fs/cache").rename(active / "fs/elsewhere")
    (active / "fs/cache").write_text("a file")
    places.restore()
    assert (active / "fs/etc/hosts").read_text() == "of the image"
    assert sorted(os.listdir(active / "fs")) == ["cache", "etc", "link"]
    assert sorted(os.listdir(active / "fs/etc")) == ["hosts", "own"]
    assert (active / "fs/etc").stat().st_mtime > _LONG_AGO
    assert os.listdir(active / "fs/cache") == ["old"]
    assert os.listdir(tmp_path / "home") == ["kept"]


def test_a_file_that_the_step_moved_or_linked_elsewhere_is_gone(active: Path) -> None:
    places = Places(active, new_mark())
    _put(places, b"/etc/hosts", "ours")
    _put(places, b"/run/secret", "as large as a secret")
    tree = active / "fs"
    (tree / "run/linked").hardlink_to(tree / "run/secret")
    (tree / "cache/linked").hardlink_to(tree / "run/secret")
    (tree / "run/secret").unlink()
    (tree / "etc/hosts").rename(tree / "etc/before")
    (tree / "etc/hosts").write_text("of the step")
    places.restore()
    assert os.listdir(tree / "etc") == ["hosts"]
    assert (tree / "etc/hosts").read_text() == "of the image"
    assert os.listdir(tree / "cache") == ["old"]
    assert not (tree / "run/linked").exists()


def test_what_the_step_removed_with_its_directory_stays_removed(active: Path) -> None:
    places = Places(active, new_mark())
    _put(places, b"/etc/hosts", "ours")
    (active / "fs/etc/hosts").unlink()
    (active / "fs/etc").rmdir()
    places.restore()
    assert sorted(os.listdir(active / "fs")) == ["cache", "link"]
    assert sorted(os.listdir(active)) == ["fs", "returned"]


@pytest.mark.parametrize("target", [b"/../../home/kept", b"/out/kept", b"/absolute/kept"])
def test_links_of_an_image_lead_nowhere_else(active: Path, tmp_path: Path, target: bytes) -> None:
    (active / "fs/out").symlink_to("../../home")
    (active / "fs/absolute").symlink_to(tmp_path / "home")
    places = Places(active, new_mark())
    assert _put(places, target, "ours").startswith(b"/")
    assert (tmp_path / "home/kept").read_text() == "kept"
    places.restore()
    assert (tmp_path / "home/kept").read_text() == "kept"


def test_something_of_another_kind_is_no_place(active: Path) -> None:
    places = Places(active, new_mark())
    with pytest.raises(IsADirectoryError):
        _put(places, b"/etc", "ours")
    places.restore()
    assert (active / "fs/etc/hosts").read_text() == "of the image"


def test_a_lent_directory_comes_home_without_hard_links_to_elsewhere(active: Path, tmp_path: Path) -> None:
    """A step makes links where mounts would permit none: into the tree, out of it, from one lent directory to another."""
    tree = active / "fs"
    (tmp_path / "second").mkdir()
    places = Places(active, new_mark())
    places.lend(b"/cache", tmp_path / "home")
    places.lend(b"/other", tmp_path / "second")
    (tree / "stolen").hardlink_to(tree / "cache/kept")
    (tree / "cache/hosts").hardlink_to(tree / "etc/hosts")
    (tree / "other/kept").hardlink_to(tree / "cache/kept")
    places.restore()
    for name in ("home/kept", "home/hosts", "second/kept"):
        (tmp_path / name).write_text("changed by the next step")
    assert (tree / "stolen").read_text() == "kept"
    assert (tree / "etc/hosts").read_text() == "of the image"
    (tmp_path / "second/kept").write_text("second")
    assert (tmp_path / "home/kept").read_text() == "changed by the next step"


def test_a_socket_of_the_host_stays_as_it_was_and_out_of_the_tree(active: Path, tmp_path: Path) -> None:
    """A step can change its mode and make links of it, where a read-only mount would permit neither."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(tmp_path / "socket"))
        (tmp_path / "socket").chmod(0o600)
        places = Places(active, new_mark())
        assert places.link(b"/run/socket", tmp_path / "socket") == b"/run/socket"
        assert (active / "fs/run/socket").samefile(tmp_path / "socket")
        os.link(active / "fs/run/socket", active / "fs/etc/stays")
        os.chmod(active / "fs/etc/stays", 0o666)
        os.chown(active / "fs/etc/stays", 5, 6)
        places.restore()
    found = (tmp_path / "socket").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_nlink) == (0o600, 0, 0, 1)
    assert os.listdir(active / "fs/etc") == ["hosts"]
