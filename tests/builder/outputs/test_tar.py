import io
import os
import tarfile
from pathlib import Path

import pytest

from pybuild.builder.outputs.tar import write_trees
from pybuild.builder.outputs.tree import OutputTree, TreeTimes


def packed(root: Path, *, nearest_second: bool = False) -> bytes:
    blocks: list[bytes] = []
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        write_trees(
            (OutputTree("", "", fd),), lambda piece: blocks.append(bytes(piece)), TreeTimes(None, nearest_second)
        )
    finally:
        os.close(fd)
    return b"".join(blocks)


def archive(root: Path) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(packed(root)))


def test_a_tree_becomes_an_archive_with_all_it_has(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir(mode=0o750)
    (tmp_path / "etc" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "etc" / "file").chmod(0o4755)
    os.utime(tmp_path / "etc" / "file", (5, 5))
    os.link(tmp_path / "etc" / "file", tmp_path / "zlink")
    (tmp_path / "soft").symlink_to("../../etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    with archive(tmp_path) as tar:
        assert tar.getnames() == ["pipe", "soft", "zlink", "etc", "etc/file"]
        assert tar.getmember("etc").mode == 0o750
        first, second = tar.getmember("zlink"), tar.getmember("etc/file")
        assert (first.mode, first.size, first.mtime) == (0o4755, 100_000, 5)
        assert second.islnk()
        assert second.linkname == "zlink"
        assert tar.getmember("soft").linkname == "../../etc/passwd"
        assert tar.getmember("pipe").isfifo()


def test_the_same_tree_gives_the_same_archive(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1, 1))
    assert packed(tmp_path) == packed(tmp_path)
    before = packed(tmp_path)
    (tmp_path / "a").chmod(0o600)
    assert packed(tmp_path) != before


@pytest.mark.parametrize(("nanoseconds", "cut", "rounded"), [(0, 5, 5), (499_999_999, 5, 5), (500_000_000, 5, 6)])
def test_times_are_cut_or_rounded_to_seconds(tmp_path: Path, nanoseconds: int, cut: int, rounded: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("")
    for path in (tmp_path / "folder/file", tmp_path / "folder"):
        os.utime(path, ns=(0, 5_000_000_000 + nanoseconds))
    for seconds, nearest_second in ((cut, False), (rounded, True)):
        with tarfile.open(fileobj=io.BytesIO(packed(tmp_path, nearest_second=nearest_second))) as tar:
            assert [member.mtime for member in tar.getmembers()] == [seconds, seconds]


def test_sockets_are_left_out(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with archive(tmp_path) as tar:
            assert tar.getnames() == []


def test_what_is_in_a_directory_follows_it_at_once(tmp_path: Path) -> None:
    for directory in ("a", "a/b", "c"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "file").write_text("")
    with archive(tmp_path) as tar:
        assert tar.getnames() == ["a", "a/file", "a/b", "a/b/file", "c", "c/file"]
