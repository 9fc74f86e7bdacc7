"""Paths inside a root, resolved by the kernel and by hand."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.safepath import Root, read_xattrs, scan_directory
from tests.helpers.hosts import need_root
from tests.runtime.exchanging import exchanging


@pytest.fixture
def root(tmp_path: Path, resolver: str) -> Iterator[Root]:
    """A root with a canary beside it, and in it a file, directories and links of every kind."""
    (tmp_path / "canary").write_text("outside")
    directory = tmp_path / "root"
    (directory / "a/b").mkdir(parents=True)
    (directory / "a/b/file").write_text("inside")
    links = {
        "abs": "/a",
        "rel": "a/b",
        "up": "../../../../canary",
        "host": str(tmp_path / "canary"),
        "dangling": "/new/folder",
        "loop": "loop",
        "a/back": "../a/b/../b",
        "a/inner": "/a/b",
        "slash": "a/b/file/",
    }
    for name, target in links.items():
        (directory / name).symlink_to(target)
    with Root.open_host(directory) as root:
        yield root


def read(root: Root, path: str) -> str:
    with os.fdopen(root.open(path)) as file:
        return file.read()


@pytest.mark.parametrize(
    "path",
    [
        "a/b/file",
        "/a/b/file",
        "abs/b/file",
        "rel/file",
        "a/back/file",
        "a/inner/file",
        "../../a/./b//file",
        "abs/b/../b/file",
        "rel/../b/file",
    ],
)
def test_a_path_leads_to_the_file_as_it_would_in_a_chroot(root: Root, path: str) -> None:
    assert read(root, path) == "inside"


@pytest.mark.parametrize("path", ["up", "host", "../canary", "/../../canary", "a/../../canary"])
def test_nothing_outside_can_be_reached(root: Root, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        root.open(path)
    assert root.stat(path) is None


@pytest.mark.parametrize("path", ["loop", "loop/x", "a/b/file/x", "a/b/file/", "a/b/file/..", "slash"])
def test_a_path_that_makes_no_sense_is_unsafe(root: Root, path: str) -> None:
    with pytest.raises(UnsafePathError, match=path):
        root.open(path)


def test_looking_answers_none_for_what_is_missing(root: Root) -> None:
    assert root.stat("no") is None
    assert root.stat("no", follow=False) is None
    assert root.stat("a/b/file/x") is None
    assert root.readlink("no/link") is None
    assert root.read_file("no", 10) is None
    assert not root.exists("dangling")


def test_the_last_link_is_followed_only_when_asked(root: Root) -> None:
    followed, itself = root.stat("abs"), root.stat("abs", follow=False)
    assert followed is not None
    assert itself is not None
    assert followed.st_ino == os.stat("a", dir_fd=root.fd).st_ino != itself.st_ino
    behind = root.stat("abs/", follow=False)
    assert behind is not None
    assert behind.st_ino == followed.st_ino


def test_links_are_read_as_text_and_other_things_have_none(root: Root) -> None:
    assert root.readlink("dangling") == "/new/folder"
    assert root.readlink("abs/back") == "../a/b/../b"
    assert root.readlink("a") is None


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("", ""),
        ("/", ""),
        ("..", ""),
        ("abs/back", "a/b"),
        ("dangling", "new/folder"),
        ("dangling/x/../y", "new/folder/y"),
        ("no/../abs", "a"),
        ("no/../../../rel/x", "a/b/x"),
        ("up", "canary"),
        ("a/b/file", "a/b/file"),
    ],
)
def test_the_real_path_has_no_links_and_may_end_in_what_is_missing(root: Root, path: str, real: str) -> None:
    assert root.real(path) == real


def test_the_real_path_of_a_loop_is_unsafe(root: Root) -> None:
    with pytest.raises(UnsafePathError):
        root.real("loop/x")
    with pytest.raises(UnsafePathError):
        root.real("a/b/file/x")


@pytest.mark.parametrize(
    ("path", "directory", "name"),
    [
        ("x", "", "x"),
        ("a/b/new", "a/b", "new"),
        ("abs/b/", "a", "b"),
        ("rel/..", "", "a"),
        ("/", "", ""),
        ("a/loop", "a", "loop"),
    ],
)
def test_the_parent_of_a_path_is_open_and_the_last_name_is_left(
    root: Root, path: str, directory: str, name: str
) -> None:
    parent, last = root.parent(path)
    try:
        expected = root.stat(directory)
        assert expected is not None
        assert (os.fstat(parent).st_ino, last) == (expected.st_ino, name)
    finally:
        os.close(parent)


def test_missing_directories_are_made_inside_with_exact_mode_and_reported(root: Root) -> None:
    umask = os.umask(0o077)
    try:
        assert root.make_directories("abs/x/y", mode=0o751) == ["a/x", "a/x/y"]
        assert root.make_directories("dangling/z") == ["new", "new/folder", "new/folder/z"]
        assert root.make_directories("dangling/z") == []
        assert root.make_directories("") == []
    finally:
        os.umask(umask)
    made = root.stat("a/x/y")
    assert made is not None
    assert made.st_mode & 0o7777 == 0o751


def test_made_directories_get_an_owner(root: Root) -> None:
    need_root()
    root.make_directories("home/me", uid=1234, gid=5678)
    made = root.stat("home/me")
    assert made is not None
    assert (made.st_uid, made.st_gid) == (1234, 5678)


def test_a_directory_cannot_be_made_below_a_file(root: Root) -> None:
    with pytest.raises(UnsafePathError):
        root.make_directories("a/b/file/x")


def test_names_are_listed_in_byte_order_with_their_own_status(tmp_path: Path, resolver: str) -> None:
    for name in (b"\xff", "é".encode(), b"Z", b"a", "\U0001f600".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()
    (tmp_path / "link").symlink_to("a")
    with Root.open_host(tmp_path) as root:
        entries = root.scan()
    names = [os.fsencode(entry.name) for entry in entries]
    assert names == sorted(names)
    assert len(names) == 6
    assert [entry.stat.st_size for entry in entries if entry.name == "link"] == [1]


@pytest.mark.parametrize("path", ["..", "", ".", "/", "../", "a/.."])
def test_the_root_has_no_parent(root: Root, path: str) -> None:
    directory = root.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert os.path.samestat(os.fstat(directory), os.fstat(root.fd))
    finally:
        os.close(directory)
    assert root.stat(path) == os.fstat(root.fd)
    assert root.real(path) == ""


def test_a_directory_can_be_scanned_again_by_its_descriptor(root: Root) -> None:
    directory = root.open("a", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert [entry.name for entry in scan_directory(directory)] == ["b", "back", "inner"]
        assert [entry.name for entry in scan_directory(directory)] == ["b", "back", "inner"]
    finally:
        os.close(directory)


def test_a_root_at_a_descriptor_leaves_that_open(root: Root) -> None:
    directory = root.open("a", os.O_PATH | os.O_DIRECTORY)
    try:
        with Root.at(directory) as inner:
            assert inner.exists("b/file")
            assert not inner.exists("/a/b/file")
        assert os.fstat(directory).st_ino
    finally:
        os.close(directory)


def test_only_regular_files_up_to_the_limit_are_read(root: Root) -> None:
    os.mkfifo("fifo", dir_fd=root.fd)
    assert root.read_file("rel/file", 6) == b"inside"
    for path in ("fifo", "a", "slash"):
        with pytest.raises(UnsafePathError):
            root.read_file(path, 100)
    with pytest.raises(UnsafePathError, match="longer than 5 bytes"):
        root.read_file("rel/file", 5)


def test_opening_a_fifo_does_not_wait_for_a_writer(root: Root) -> None:
    os.mkfifo("fifo", dir_fd=root.fd)
    handle = root.open("fifo")
    os.close(handle)
    assert handle > 2


def test_descriptors_do_not_leak_to_children(root: Root) -> None:
    for flags in (os.O_RDONLY, os.O_PATH):
        handle = root.open("a/b", flags)
        assert not os.get_inheritable(handle)
        os.close(handle)


def test_nothing_is_created_by_opening(root: Root) -> None:
    with pytest.raises(ValueError, match="creates nothing"):
        root.open("new", os.O_WRONLY | os.O_CREAT)
    assert root.stat("new") is None


def test_a_name_with_a_null_byte_is_missing(root: Root) -> None:
    assert root.stat("a\0/b") is None


def test_attributes_are_those_of_the_link_and_without_overlay_bookkeeping(root: Root) -> None:
    need_root()
    target = f"/proc/self/fd/{root.fd}/a/b/file"
    os.setxattr(target, "user.mine", b"1")
    os.setxattr(target, "trusted.overlay.origin", b"2")
    os.setxattr(target, "user.overlay.opaque", b"y")
    assert root.xattrs("rel/file") == {"user.mine": b"1"}
    os.symlink("a/b/file", "tolink", dir_fd=root.fd)
    assert root.xattrs("tolink") == {}
    with os.fdopen(root.open("a/b/file")) as file:
        assert read_xattrs(file.fileno()) == {"user.mine": b"1"}


def test_magic_links_of_proc_lead_nowhere() -> None:
    with Root.open_host(Path("/proc/self")) as root, pytest.raises(UnsafePathError):
        root.open("exe")


def test_swapping_a_directory_for_a_link_never_leads_outside(tmp_path: Path, resolver: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "root"
    for directory in (outside, inside / "d", inside / "stash"):
        directory.mkdir(parents=True)
    (outside / "file").write_text("outside")
    (inside / "d/file").write_text("inside")
    (inside / "link").symlink_to(outside)
    seen = set()
    with exchanging(inside, ("d", "link")), Root.open_host(inside) as root:
        for _ in range(1500):
            for path in ("d/file", "stash/../d/file", "d/../d/file"):
                try:
                    seen.add(root.read_file(path, 100))
                    root.make_directories("d/made")
                except UnsafePathError:
                    seen.add(b"unsafe")
    assert b"inside" in seen
    assert b"outside" not in seen
    assert sorted(os.listdir(outside)) == ["file"]


@pytest.mark.parametrize("path", ["n" * 256, f"dir/{'n' * 256}", f"{'n' * 256}/x"])
def test_a_name_that_no_file_system_holds_is_not_there(tmp_path: Path, path: str, resolver: str) -> None:
    (tmp_path / "dir").mkdir()
    with Root.open_host(tmp_path) as root:
        assert root.stat(path, follow=False) is None
        assert root.stat(path) is None
        assert root.readlink(path) is None
