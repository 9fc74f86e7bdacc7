import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pybuild.builder.edit.compare_trees import FileChange, tree_differences


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return _tree(tmp_path / "before")


@pytest.fixture
def after(tmp_path: Path) -> Path:
    return _tree(tmp_path / "after")


def _tree(root: Path) -> Path:
    """Two trees that are the same in all but the times of directories."""
    (root / "etc" / "deep").mkdir(parents=True)
    (root / "etc" / "deep" / "file").write_bytes(b"same")
    (root / "link").symlink_to("etc")
    os.utime(root / "etc" / "deep" / "file", (1, 1))
    os.utime(root / "link", (1, 1), follow_symlinks=False)
    return root


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def compared(before: Path, after: Path, *, digests: bool = False, times: bool = False) -> list[FileChange]:
    with opened(before) as old, opened(after) as new:
        return list(tree_differences(old, new, digests=digests, times=times))


def letters(changes: list[FileChange]) -> list[str]:
    return [f"{change.kind} {change.path}" for change in changes]


def test_trees_that_are_the_same_differ_in_nothing(before: Path, after: Path) -> None:
    os.utime(after / "etc", (5, 5))
    assert compared(before, after, times=True) == []


def test_what_is_new_gone_or_different_is_listed_with_the_directories_above(before: Path, after: Path) -> None:
    (after / "etc" / "deep" / "new").mkdir()
    (after / "etc" / "deep" / "new" / "x").touch()
    (after / "link").unlink()
    assert letters(compared(before, after)) == [
        "C /etc",
        "C /etc/deep",
        "A /etc/deep/new",
        "A /etc/deep/new/x",
        "D /link",
    ]
    assert letters(compared(after, before)) == ["C /etc", "C /etc/deep", "D /etc/deep/new", "A /link"]


def test_content_is_compared_even_when_size_and_time_are_the_same(before: Path, after: Path) -> None:
    (after / "etc" / "deep" / "file").write_bytes(b"SAME")
    os.utime(after / "etc" / "deep" / "file", (1, 1))
    change = compared(before, after)[-1]
    assert change.before is not None
    assert change.after is not None
    assert change.before.digest == "sha256:" + hashlib.sha256(b"same").hexdigest()
    assert change.after.digest == "sha256:" + hashlib.sha256(b"SAME").hexdigest()


def test_a_time_alone_counts_only_when_asked_for(before: Path, after: Path) -> None:
    os.utime(after / "etc" / "deep" / "file", (9, 9))
    assert compared(before, after) == []
    assert letters(compared(before, after, times=True))[-1] == "C /etc/deep/file"


@pytest.mark.parametrize("edit", ["mode", "owner", "link", "xattr", "type"])
def test_everything_that_a_layer_keeps_counts(before: Path, after: Path, edit: str) -> None:
    path = after / "etc" / "deep" / "file"
    if edit == "mode":
        path.chmod(0o4711)
    elif edit == "owner":
        os.chown(path, 7, 8)
    elif edit == "xattr":
        os.setxattr(path, "user.note", b"\xff")
    else:
        path = after / "link"
        path.unlink()
        path.symlink_to("elsewhere") if edit == "link" else path.mkdir()
    assert letters(compared(before, after))[-1] == f"C /{path.relative_to(after)}"


def test_digests_of_files_on_one_side_are_made_when_asked_for(before: Path, after: Path) -> None:
    (after / "new").write_bytes(b"x")
    asked, unasked = compared(before, after, digests=True), compared(before, after)
    assert asked[0].after is not None
    assert unasked[0].after is not None
    assert asked[0].after.digest == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert unasked[0].after.digest == ""


def test_links_are_never_followed(before: Path, after: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"outside")
    (after / "out").symlink_to(tmp_path / "secret")
    change = compared(before, after, digests=True)[0]
    assert change.after is not None
    assert (change.after.type, change.after.digest) == ("link", "")


def test_names_that_are_no_text_are_kept(before: Path, after: Path) -> None:
    with open(os.fsencode(after) + b"/\xff", "wb"):
        pass
    assert letters(compared(before, after)) == ["A /\udcff"]
