"""The stream of changes, from an overlay's upper directory and from two trees."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.changes import overlay_changes, overlay_xattr_prefix, tree_changes
from tests.helpers.hosts import need_root
from tests.helpers.leftovers import descriptors_below
from tests.runtime.deep import go_down

OLD = 1_000_000_000 * 10**9


def fill(directory: Path, *names: str) -> Path:
    """Make directories (names with a slash at the end), files and, of ``a -> b``, links; all with one old time."""
    directory.mkdir(exist_ok=True)
    for name in names:
        path = directory / name.split(" ")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif " -> " in name:
            path.symlink_to(name.split(" ")[2])
        else:
            path.write_text(f"content of {name}")
    for path in [*directory.rglob("*"), directory]:
        os.utime(path, ns=(OLD, OLD), follow_symlinks=False)
    return directory


def shown(changes: object) -> list[str]:
    return [f"{change.kind.value} {change.path}" for change in changes]  # type: ignore[attr-defined]


def of_overlay(upper: Path, lower: Path | None = None) -> list[str]:
    with Root.open_host(upper) as top:
        if lower is None:
            return shown(overlay_changes(top.fd))
        with Root.open_host(lower) as bottom:
            return shown(overlay_changes(top.fd, bottom))


def of_trees(old: Path | None, new: Path, copied_ns: int = 0) -> list[str]:
    with Root.open_host(new) as top:
        if old is None:
            return shown(tree_changes(None, top.fd, copied_ns=copied_ns))
        with Root.open_host(old) as bottom:
            return shown(tree_changes(bottom.fd, top.fd, copied_ns=copied_ns))


def whiteout(path: Path) -> None:
    need_root()
    os.mknod(path, 0o20000, 0)


def opaque(path: Path, value: bytes = b"y") -> None:
    need_root()
    os.setxattr(path, f"{overlay_xattr_prefix()}opaque", value)


def keep_time(path: Path) -> None:
    os.utime(path, ns=(OLD, OLD), follow_symlinks=False)


def test_parents_come_first_and_names_in_byte_order(tmp_path: Path) -> None:
    new = fill(tmp_path / "new", "b/z", "b-a", "a", "b/é", "B")
    expected = ["add B", "add a", "add b", "add b/z", "add b/é", "add b-a"]
    assert of_trees(None, new) == expected
    assert of_overlay(new) == expected
    assert of_overlay(new, fill(tmp_path / "empty")) == expected


def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\xfe")).touch()
    assert of_trees(None, tmp_path) == ["add \udcff\udcfe"]


def test_a_copied_up_directory_or_file_is_no_change(tmp_path: Path) -> None:
    lower = fill(tmp_path / "lower", "a/b/c", "a/b/same", "a/l -> x")
    upper = fill(tmp_path / "upper", "a/b/c", "a/l -> x")
    (upper / "a/b/c").write_text("something else!")
    os.utime(upper / "a/b/c")
    assert of_overlay(upper, lower) == ["modify a/b/c"]


def test_a_whiteout_is_a_deletion_of_what_the_lower_tree_has(tmp_path: Path) -> None:
    lower = fill(tmp_path / "lower", "folder/file", "file", "folder/other")
    upper = fill(tmp_path / "upper", "folder/")
    for name in ("file", "never", "folder/other"):
        whiteout(upper / name)
    keep_time(upper / "folder")
    assert of_overlay(upper, lower) == ["delete file", "delete folder/other"]
    assert of_overlay(upper) == ["delete file", "add folder", "delete folder/other", "delete never"]


def test_an_opaque_directory_comes_as_the_deletions_it_stands_for(tmp_path: Path) -> None:
    lower = fill(tmp_path / "lower", "d/gone", "d/kept", "d/sub/gone", "d/sub/kept", "d/tree/x", "z")
    upper = fill(tmp_path / "upper", "d/kept", "d/new", "d/sub/kept")
    opaque(upper / "d")
    os.chmod(upper / "d/kept", 0o600)
    keep_time(upper / "d")
    assert of_overlay(upper, lower) == [
        "delete d/gone",
        "modify d/kept",
        "add d/new",
        "delete d/sub/gone",
        "delete d/tree",
    ]


def test_an_opaque_directory_over_nothing_known_is_told_right_after_the_directory(tmp_path: Path) -> None:
    upper = fill(tmp_path / "upper", "a/d/x", "b")
    opaque(upper / "a/d")
    assert of_overlay(upper) == ["add a", "add a/d", "opaque a/d", "add a/d/x", "add b"]


def test_an_opaque_directory_over_a_file_hides_nothing(tmp_path: Path) -> None:
    lower = fill(tmp_path / "lower", "d", "e -> /somewhere")
    upper = fill(tmp_path / "upper", "d/x", "e/y")
    opaque(upper / "d")
    opaque(upper / "e")
    assert of_overlay(upper, lower) == ["modify d", "add d/x", "modify e", "add e/y"]


def test_whiteouts_as_attributes_count_where_the_directory_says_so(tmp_path: Path) -> None:
    lower = fill(tmp_path / "lower", "d/gone", "e/kept")
    upper = fill(tmp_path / "upper", "d/empty", "d/gone", "e/kept")
    for name in ("d/gone", "e/kept", "d/empty"):
        (upper / name).write_text("")
    for name in ("d/gone", "e/kept"):
        os.setxattr(upper / name, f"{overlay_xattr_prefix()}whiteout", b"")
    opaque(upper / "d", b"x")
    assert of_overlay(upper, lower) == ["add d/empty", "delete d/gone", "modify e/kept"]


@pytest.mark.parametrize("changes", [of_overlay, lambda upper, lower: of_trees(lower, upper)])
def test_each_kind_of_metadata_counts(tmp_path: Path, changes: Callable[[Path, Path], list[str]]) -> None:
    need_root()
    names = ["attr", "dir/", "link -> old", "mode", "owner", "same", "size", "text", "time"]
    lower, upper = fill(tmp_path / "lower", *names), fill(tmp_path / "upper", *names)
    for directory, number in ((lower, 1), (upper, 2)):
        os.mknod(directory / "node", 0o20600, os.makedev(1, number))
        keep_time(directory / "node")
    os.setxattr(upper / "attr", "user.x", b"1")
    os.chmod(upper / "dir", 0o700)
    (upper / "link").unlink()
    (upper / "link").symlink_to("new")
    os.chmod(upper / "mode", 0o4755)
    os.chown(upper / "owner", 0, 7)
    (upper / "size").write_text("longer than before it was changed")
    (upper / "text").write_text("CONTENT of text")
    for name in ("attr", "dir", "link", "size", "text"):
        keep_time(upper / name)
    os.utime(upper / "time", ns=(OLD, OLD + 1))
    expected = ["attr", "dir", "link", "mode", "node", "owner", "size", "text", "time"]
    assert changes(upper, lower) == [f"modify {name}" for name in expected]


@pytest.mark.parametrize("changes", [of_overlay, lambda upper, lower: of_trees(lower, upper)])
def test_a_file_that_got_another_link_is_reported_with_it(
    tmp_path: Path, changes: Callable[[Path, Path], list[str]]
) -> None:
    lower, upper = fill(tmp_path / "lower", "a", "b"), fill(tmp_path / "upper", "a", "b")
    os.link(upper / "a", upper / "c")
    assert changes(upper, lower) == ["modify a", "add c"]


@pytest.mark.parametrize("changes", [of_overlay, lambda upper, lower: of_trees(lower, upper)])
def test_a_socket_takes_the_place_of_a_file_and_is_itself_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: Callable[[Path, Path], list[str]]
) -> None:
    lower, upper = fill(tmp_path / "lower", "s"), fill(tmp_path / "upper")
    monkeypatch.chdir(upper)
    for name in ("s", "t"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
    assert changes(upper, lower) == ["delete s"]


def test_a_tree_is_compared_by_name_with_one_deletion_for_a_directory(tmp_path: Path) -> None:
    old = fill(tmp_path / "old", "a/x", "a/y/z", "b", "c/d", "e -> b")
    new = fill(tmp_path / "new", "b/new", "c/d", "e/f", "f")
    assert of_trees(old, new) == ["delete a", "modify b", "add b/new", "modify e", "add e/f", "add f"]
    assert of_trees(old, old) == []


def test_a_character_device_zero_cannot_be_in_a_layer(tmp_path: Path) -> None:
    old, new = fill(tmp_path / "old", "a"), fill(tmp_path / "new")
    whiteout(new / "a")
    whiteout(new / "b")
    assert of_trees(old, new) == ["delete a"]


def test_files_older_than_the_copy_are_not_read_unless_their_directory_moved(tmp_path: Path) -> None:
    old = fill(tmp_path / "old", "d1/f", "d2/f", "d3/f", "top")
    new = fill(tmp_path / "new", "d1/f", "d2/f", "d3/f", "top")
    (new / "d1/f").write_text("CONTENT of d1/f")  # a copy that was not faithful shows what is read
    (new / "d2/f").write_text("CONTENT of d2/f")
    keep_time(new / "d1/f")
    keep_time(new / "d2/f")
    mark = tmp_path / "mark"
    mark.touch()
    copied = first = mark.stat().st_ctime_ns
    while copied < first + 20_000_000:  # the clock of a file system may stand still for some milliseconds
        mark.touch()
        copied = mark.stat().st_ctime_ns
    os.rename(new / "d2", new / "tmp")
    os.rename(new / "tmp", new / "d2")
    assert of_trees(old, new, copied) == ["modify d2/f"]
    assert of_trees(old, new) == ["modify d1/f", "modify d2/f"]


def test_a_tree_deeper_than_descriptors_and_paths_allow_is_compared(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    os.close(go_down(tmp_path / "new", 600, make=True))
    found = of_trees(None, tmp_path / "new")
    assert len(found) == 600
    assert found[-1] == "add " + "/".join(["deep-folder"] * 600)


def test_a_stream_holds_no_descriptor_between_its_steps(tmp_path: Path) -> None:
    new = fill(tmp_path / "new", "a/b/c", "d")
    with Root.open_host(new) as root:
        held = [descriptors_below(tmp_path) for _ in tree_changes(None, root.fd)]
    assert held == [[str(new)]] * 4
    assert descriptors_below(tmp_path) == []
