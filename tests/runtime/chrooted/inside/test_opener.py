"""What a step gets that opens the file of a secret, or a path that leads to it."""

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pybuild.runtime.chrooted.confinement import opening_filter
from pybuild.runtime.chrooted.inside.opener import fork_opener
from pybuild.runtime.chrooted.inside.values import Hidden
from pybuild.runtime.kernel.passing import receive, send, socket_pair
from pybuild.runtime.kernel.syscalls import (
    PR_SET_NO_NEW_PRIVS,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_SYMLINKS,
    openat2,
    prctl,
    seccomp_listener,
)
from tests.helpers.hosts import need_root
from tests.runtime.forked import returned

CONTENT = b"in memory"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the file of a secret, links to it, and a directory ``d`` with another file of the same path."""
    need_root()
    (tmp_path / "secret").write_bytes(bytes(len(CONTENT)))
    (tmp_path / "secret").chmod(0o400)
    (tmp_path / "link").symlink_to("/secret")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/secret").write_text("another file")
    (tmp_path / "d/out").symlink_to("../secret")
    return tmp_path


def _inside(tree: Path, work: Callable[[], str]) -> str:
    """Return what *work* returns in a process with the root *tree*, whose calls of open(2) an opener answers."""
    status, (program, calls) = (tree / "secret").stat(), opening_filter()

    def step() -> str:
        ours, theirs = socket_pair()
        if os.fork() == 0:
            os.close(theirs)
            _, (listener,) = receive(ours, 1)
            fork_opener(listener, os.fsencode(tree), (Hidden(CONTENT, status.st_dev, status.st_ino),), calls)
            os.close(listener)
            send(ours, b"x")
            receive(ours, 0)  # until the step has ended
            os._exit(0)
        os.close(ours)
        os.chroot(tree)
        os.chdir("/")
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        send(theirs, b"l", seccomp_listener(program))
        receive(theirs, 0)
        return work()

    result = returned(step)
    assert isinstance(result, str)
    return result


def _read(fd: int) -> str:
    with open(fd, "rb", buffering=0) as file:
        return file.read(99).decode()


def _read_path(path: str, flags: int = 0) -> str:
    try:
        return _read(os.open(path, os.O_RDONLY | flags))
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def _read_by_rules(path: str, resolve: int) -> str:
    try:
        return _read(openat2(os.open("/d", os.O_PATH), path, os.O_RDONLY, resolve=resolve))
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@pytest.mark.parametrize(
    ("path", "flags", "expected"),
    [
        ("/secret", 0, "in memory"),
        ("d/../link", 0, "in memory"),
        ("/secret", os.O_NOFOLLOW, "in memory"),
        ("/link", os.O_NOFOLLOW, "ELOOP"),
        ("/secret", os.O_DIRECTORY, "ENOTDIR"),
        ("/secret", os.O_CREAT, "in memory"),
        ("/secret", os.O_CREAT | os.O_EXCL, "EEXIST"),
        ("/secret", os.O_PATH, "EBADF"),
        ("/secret", os.O_TRUNC, "EROFS"),
        ("/secret", os.O_WRONLY, "EROFS"),
        ("/d/secret", 0, "another file"),
        ("/missing", 0, "ENOENT"),
    ],
)
def test_flags_mean_what_they_mean_without_an_opener(tree: Path, path: str, flags: int, expected: str) -> None:
    assert _inside(tree, partial(_read_path, path, flags)) == expected


@pytest.mark.parametrize(
    ("path", "resolve", "expected"),
    [
        ("../secret", 0, "in memory"),
        ("out", 0, "in memory"),
        ("out", RESOLVE_NO_SYMLINKS, "ELOOP"),
        ("out", RESOLVE_BENEATH, "EXDEV"),
        ("/secret", RESOLVE_BENEATH, "EXDEV"),
        ("/secret", RESOLVE_IN_ROOT, "another file"),
        ("../secret", RESOLVE_IN_ROOT, "another file"),
    ],
)
def test_rules_for_a_path_hold(tree: Path, path: str, resolve: int, expected: str) -> None:
    assert _inside(tree, partial(_read_by_rules, path, resolve)) == expected


def test_a_supplementary_group_opens_the_directory_of_a_secret(tree: Path) -> None:
    tree.chmod(0o755)
    (tree / "closed").mkdir()
    (tree / "closed/secret").hardlink_to(tree / "secret")
    for path, mode in (("closed", 0o710), ("secret", 0o440)):
        os.chown(tree / path, 0, 55)
        (tree / path).chmod(mode)

    def read() -> str:
        os.setgroups([55])
        os.setresgid(33, 33, 33)
        os.setresuid(33, 33, 33)
        return _read_path("/closed/secret")

    assert _inside(tree, read) == CONTENT.decode()
