"""The kernel's resolution and the walk by hand agree, with each other and with chroot."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.kernel import syscalls
from pybuild.runtime.paths import walk
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.paths.walk import open_beneath
from tests.helpers.hosts import need_root


@pytest.fixture
def directory(tmp_path: Path, resolver: str) -> Path:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    (tmp_path / "abs").symlink_to("/a")
    (tmp_path / "a/back").symlink_to("../a/b")
    return tmp_path


def test_a_path_longer_than_the_kernel_takes_is_walked(directory: Path) -> None:
    names = ["n" * 200] * 30
    with Root.open_host(directory) as root:
        root.make_directories("/".join(names))
        with Root(open_beneath(root.fd, "/".join(names[:-1]), os.O_PATH)) as deep:
            assert deep.exists(names[-1])
        assert root.exists("/".join(names))
        assert root.exists("/".join([*names, "..", names[-1]]))
        assert not root.exists("/".join([*names, "more"]))


def test_going_down_strictly_refuses_links_and_parents(directory: Path) -> None:
    with Root.open_host(directory) as root:
        for path in ("abs", "abs/b", "a/back"):
            with pytest.raises(OSError) as caught:
                open_beneath(root.fd, path)
            assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}
        with pytest.raises(UnsafePathError):
            open_beneath(root.fd, "a/../a")
        handle = open_beneath(root.fd, "a/b")
        assert os.listdir(handle) == ["file"]
        os.close(handle)


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
    assert walk.kernel_resolves.__wrapped__() is works


def test_a_path_is_walked_where_renames_never_let_the_kernel_finish(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = syscalls.openat2

    def openat2(dirfd: int, path: str | bytes, *args: int, **kwargs: int) -> int:
        if b".." in os.fsencode(path):
            raise BlockingIOError(errno.EAGAIN, "")
        return genuine(dirfd, path, *args, **kwargs)

    monkeypatch.setattr(walk, "kernel_resolves", lambda: True)
    monkeypatch.setattr(syscalls, "openat2", openat2)
    (directory / "loop").symlink_to("../a/../loop")
    with Root.open_host(directory) as root:
        assert root.stat("../a/b/../../abs/b/file") == (directory / "a/b/file").stat()
        assert root.stat("../x") is None
        with pytest.raises(UnsafePathError, match="symbolic links"):
            root.stat("../loop")


# Answers, for a path in a directory it is chrooted to: the identity of the file or the error, and the real path.
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


@contextmanager
def parent_of(root: Root, names: list[str]) -> Iterator[tuple[int, str]]:
    parent, name = root.parent("/".join(names))
    try:
        yield parent, name
    finally:
        os.close(parent)


def plant(directory: Path, nodes: list[tuple[list[str], str]]) -> None:
    with Root.open_host(directory) as root:
        for names, kind in nodes:
            try:
                root.make_directories("/".join(names[:-1]))
                if kind == "dir":
                    root.make_directories("/".join(names))
                elif kind == "file":
                    with parent_of(root, names) as (parent, name):
                        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=parent))
                else:
                    with parent_of(root, names) as (parent, name):
                        os.symlink(kind, name, dir_fd=parent)
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
    directory = Path(tempfile.mkdtemp(prefix="safepath-"))
    resolves = walk.kernel_resolves
    try:
        plant(directory, nodes)
        with Root.open_host(directory) as root:
            for path in paths:
                oracle.stdin.write(json.dumps([str(directory), path]) + "\n")
                oracle.stdin.flush()
                expected = json.loads(oracle.stdout.readline())
                for kernel in (True, False):
                    walk.kernel_resolves = lambda kernel=kernel: kernel  # type: ignore[assignment,misc]
                    assert ask(root, path) == expected, (kernel, path)
    finally:
        walk.kernel_resolves = resolves
        shutil.rmtree(directory)
