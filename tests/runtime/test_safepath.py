"""Paths inside a root: the kernel's resolution and the walk by hand agree, with each other and with chroot."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import safepath, syscalls
from runtime.errors import UnsafePathError
from runtime.safepath import Root, open_beneath, read_xattrs, scan_folder
from tests.helpers.hosts import need_root


@pytest.fixture(params=["kernel", "walk"])
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(safepath, "kernel_resolves", lambda: request.param == "kernel")
    return request.param


@pytest.fixture
def root(tmp_path: Path, resolver: str) -> Iterator[Root]:
    """A root with a canary beside it, and in it a file, folders and links of every kind."""
    (tmp_path / "canary").write_text("outside")
    folder = tmp_path / "root"
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").write_text("inside")
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
        (folder / name).symlink_to(target)
    with Root.open_host(folder) as root:
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
    ("path", "folder", "name"),
    [
        ("x", "", "x"),
        ("a/b/new", "a/b", "new"),
        ("abs/b/", "a", "b"),
        ("rel/..", "", "a"),
        ("/", "", ""),
        ("a/loop", "a", "loop"),
    ],
)
def test_the_parent_of_a_path_is_open_and_the_last_name_is_left(root: Root, path: str, folder: str, name: str) -> None:
    parent, last = root.parent(path)
    try:
        expected = root.stat(folder)
        assert expected is not None
        assert (os.fstat(parent).st_ino, last) == (expected.st_ino, name)
    finally:
        os.close(parent)


def test_missing_folders_are_made_inside_with_exact_mode_and_reported(root: Root) -> None:
    umask = os.umask(0o077)
    try:
        assert root.make_parents("abs/x/y/file", mode=0o751) == ["a/x", "a/x/y"]
        assert root.make_folders("dangling/z") == ["new", "new/folder", "new/folder/z"]
        assert root.make_folders("dangling/z") == []
        assert root.make_parents("top") == []
    finally:
        os.umask(umask)
    made = root.stat("a/x/y")
    assert made is not None
    assert made.st_mode & 0o7777 == 0o751
    assert root.stat("a/x/y/file") is None


def test_made_folders_get_an_owner(root: Root) -> None:
    need_root()
    root.make_folders("home/me", uid=1234, gid=5678)
    made = root.stat("home/me")
    assert made is not None
    assert (made.st_uid, made.st_gid) == (1234, 5678)


def test_a_folder_cannot_be_made_below_a_file(root: Root) -> None:
    with pytest.raises(UnsafePathError):
        root.make_folders("a/b/file/x")


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


def test_a_folder_can_be_scanned_again_by_its_descriptor(root: Root) -> None:
    folder = root.open("a", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert [entry.name for entry in scan_folder(folder)] == ["b", "back", "inner"]
        assert [entry.name for entry in scan_folder(folder)] == ["b", "back", "inner"]
    finally:
        os.close(folder)


def test_a_root_at_a_descriptor_leaves_that_open(root: Root) -> None:
    folder = root.open("a", os.O_PATH | os.O_DIRECTORY)
    try:
        with Root.at(folder) as inner:
            assert inner.exists("b/file")
            assert not inner.exists("/a/b/file")
        assert os.fstat(folder).st_ino
    finally:
        os.close(folder)


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


def test_a_path_longer_than_the_kernel_takes_is_walked(root: Root) -> None:
    names = ["n" * 200] * 30
    root.make_folders("/".join(names))
    with Root(open_beneath(root.fd, "/".join(names[:-1]), os.O_PATH)) as deep:
        assert deep.exists(names[-1])
    assert root.exists("/".join(names))
    assert root.exists("/".join([*names, "..", names[-1]]))
    assert not root.exists("/".join([*names, "more"]))


def test_going_down_strictly_refuses_links_and_parents(root: Root) -> None:
    for path in ("abs", "abs/b", "a/back"):
        with pytest.raises(OSError, match=r"."):
            open_beneath(root.fd, path)
    with pytest.raises(UnsafePathError):
        open_beneath(root.fd, "a/../a")
    handle = open_beneath(root.fd, "a/b")
    assert os.listdir(handle) == ["file"]
    os.close(handle)


def test_magic_links_of_proc_lead_nowhere() -> None:
    with Root.open_host(Path("/proc/self")) as root, pytest.raises(UnsafePathError):
        root.open("exe")


@pytest.mark.parametrize(("number", "works"), [(errno.ENOSYS, False), (errno.EPERM, False), (0, True)])
def test_the_walk_is_used_where_the_kernel_or_a_filter_denies_openat2(
    monkeypatch: pytest.MonkeyPatch, number: int, works: bool
) -> None:
    genuine = syscalls.openat2

    def openat2(*args: object, **kwargs: object) -> int:
        if number:
            raise OSError(number, "")
        return genuine(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(syscalls, "openat2", openat2)
    assert safepath.kernel_resolves.__wrapped__() is works


@pytest.mark.parametrize(("races", "error"), [(31, None), (32, UnsafePathError)])
def test_a_resolution_that_races_with_renames_is_tried_again_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, races: int, error: type[Exception] | None
) -> None:
    genuine = syscalls.openat2
    left = [races]

    def openat2(*args: object, **kwargs: object) -> int:
        if left[0]:
            left[0] -= 1
            raise BlockingIOError(errno.EAGAIN, "")
        return genuine(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(safepath, "kernel_resolves", lambda: True)
    monkeypatch.setattr(syscalls, "openat2", openat2)
    with Root.open_host(tmp_path) as root:
        if error:
            with pytest.raises(error, match="changes while"):
                root.stat("../x")
        else:
            assert root.stat("../x") is None


def test_swapping_a_folder_for_a_link_never_leads_outside(tmp_path: Path, resolver: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "root"
    for folder in (outside, inside / "d", inside / "stash"):
        folder.mkdir(parents=True)
    (outside / "file").write_text("outside")
    (inside / "d/file").write_text("inside")
    (inside / "link").symlink_to(outside)
    done = threading.Event()

    def swap() -> None:
        fd = os.open(inside, os.O_PATH)
        while not done.is_set():
            syscalls.renameat2(fd, "d", fd, "link", syscalls.RENAME_EXCHANGE)
        os.close(fd)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        with Root.open_host(inside) as root:
            for _ in range(1500):
                for path in ("d/file", "stash/../d/file", "d/../d/file"):
                    try:
                        seen.add(root.read_file(path, 100))
                        root.make_parents("d/made/x")
                    except UnsafePathError:
                        seen.add(b"unsafe")
    finally:
        done.set()
        thread.join()
    assert b"inside" in seen
    assert b"outside" not in seen
    assert sorted(os.listdir(outside)) == ["file"]


# Answers, for a path in a folder it is chrooted to: the identity of the file or the error, and the real path.
ORACLE = """
import errno, json, os, sys
home = os.open("/", os.O_PATH)
for line in sys.stdin:
    folder, path = json.loads(line)
    os.chroot(folder)
    os.chdir("/")
    try:
        found = os.stat("/" + path)
        answer = [found.st_ino, os.path.realpath("/" + path)[1:]]
    except OSError as error:
        answer = [errno.errorcode[error.errno], ""]
    os.fchdir(home)
    os.chroot(".")
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture(scope="module")
def oracle() -> Iterator["subprocess.Popen[str]"]:
    need_root()
    command = [sys.executable, "-I", "-S", "-c", ORACLE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


NAMES = st.sampled_from(["a", "b", "c"])
COMPONENTS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5)
PATHS = st.builds(
    lambda lead, parts, tail: lead + "/".join(parts) + tail,
    st.sampled_from(["", "/"]),
    COMPONENTS,
    st.sampled_from(["", "/"]),
)
NODES = st.lists(
    st.tuples(st.lists(NAMES, min_size=1, max_size=3), st.one_of(st.just("dir"), st.just("file"), PATHS)), max_size=8
)


def plant(folder: Path, nodes: list[tuple[list[str], str]]) -> None:
    with Root.open_host(folder) as root:
        for names, kind in nodes:
            try:
                root.make_parents("/".join(names))
                if kind == "dir":
                    root.make_folders("/".join(names))
                elif kind == "file":
                    parent, name = root.parent("/".join(names))
                    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=parent))
                    os.close(parent)
                else:
                    parent, name = root.parent("/".join(names))
                    try:
                        os.symlink(kind, name, dir_fd=parent)
                    finally:
                        os.close(parent)
            except (UnsafePathError, FileExistsError, FileNotFoundError):
                continue  # the path was used by an earlier node in another way


def ask(root: Root, path: str) -> list[object]:
    try:
        handle = root.open(path, os.O_PATH)
    except UnsafePathError as error:
        return ["ELOOP" if "symbolic" in str(error) else "ENOTDIR", ""]
    except FileNotFoundError:
        return ["ENOENT", ""]
    try:
        return [os.fstat(handle).st_ino, root.real(path)]
    finally:
        os.close(handle)


@settings(max_examples=120)
@given(nodes=NODES, paths=st.lists(PATHS, min_size=1, max_size=6))
def test_kernel_walk_and_chroot_agree_on_any_tree(
    oracle: "subprocess.Popen[str]", nodes: list[tuple[list[str], str]], paths: list[str]
) -> None:
    assert oracle.stdin is not None
    assert oracle.stdout is not None
    folder = Path(tempfile.mkdtemp(prefix="safepath-"))
    resolves = safepath.kernel_resolves
    try:
        plant(folder, nodes)
        with Root.open_host(folder) as root:
            for path in paths:
                oracle.stdin.write(json.dumps([str(folder), path]) + "\n")
                oracle.stdin.flush()
                expected = json.loads(oracle.stdout.readline())
                for kernel in (True, False):
                    safepath.kernel_resolves = lambda kernel=kernel: kernel  # type: ignore[assignment,misc]
                    assert ask(root, path) == expected, (kernel, path)
    finally:
        safepath.kernel_resolves = resolves
        shutil.rmtree(folder)
