"""Deletions (B07, B08): the same tree in both formats, whatever the order of the entries of a layer."""

import io
import os
from itertools import permutations
from pathlib import Path

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.layers.unpack import unpack
from pybuild.runtime.paths.safepath import Root
from tests.helpers.rawtar import archive, directory, file, hardlink, pax, symlink
from tests.helpers.unpacking import Ground, paths

OPAQUE = ".wh..wh..opq"


LOWER = archive(
    directory("d", 0o750, uid=3, mtime=5),
    file("d/a", b"lower a"),
    file("d/b", b"lower b"),
    directory("d/sub", 0o700, mtime=6),
    file("d/sub/x", b"lower x"),
    file("f", b"lower f"),
    symlink("link", "d"),
)


def test_a_whiteout_deletes_files_directories_and_links(ground: Ground) -> None:
    assert paths(ground.apply(LOWER, archive(file("d/.wh.a"), file(".wh.f"), file(".wh.link")))) == [
        "/d", "/d/b", "/d/sub", "/d/sub/x",
    ]  # fmt: skip
    assert paths(ground.apply(LOWER, archive(file(".wh.d")))) == ["/f", "/link"]


def test_a_whiteout_of_nothing_leaves_no_trace(ground: Ground) -> None:
    tree = ground.apply(
        LOWER, archive(file(".wh.none"), file("d/.wh.none"), file("no/such/.wh.x"), file(f"none/{OPAQUE}"))
    )
    assert tree == ground.apply(LOWER, archive())
    assert paths(ground.apply(archive(file(".wh.none"), file("new/f"), file("new/.wh.x"), file(f"new/{OPAQUE}")))) == [
        "/new",
        "/new/f",
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_whiteout_below_what_is_no_directory_any_more_deletes_nothing(ground: Ground, order: tuple[int, int]) -> None:
    entries = (file("d", b"no folder"), file("d/.wh.a"))
    tree = ground.apply(LOWER, archive(*(entries[number] for number in order)))
    assert paths(tree) == ["/d", "/f", "/link"]
    assert paths(ground.apply(LOWER, archive(file("f/.wh.x")))) == paths(ground.apply(LOWER))


def test_an_opaque_directory_keeps_itself_and_loses_what_it_had(ground: Ground) -> None:
    tree = ground.apply(LOWER, archive(file(f"d/{OPAQUE}"), file("d/new")))
    assert paths(tree) == ["/d", "/d/new", "/f", "/link"]
    assert tree["/d"].describe() == "drwxr-x--- 3:0"
    assert tree["/d"].mtime == 5


def test_a_user_namespace_marks_opaque_directories_its_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    def refuse_trusted(_fd: int, name: str, value: bytes) -> None:
        names.append((name, value))
        if name.startswith("trusted."):
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setxattr", refuse_trusted)
    (tmp_path / "lower/d").mkdir(parents=True)
    (tmp_path / "upper").mkdir()
    fd = os.open(tmp_path / "upper", os.O_RDONLY)
    try:
        with Root.open_host(tmp_path / "lower") as lower:
            unpack(io.BytesIO(archive(file(f"d/{OPAQUE}"))), fd, overlay=True, diff_id=None, lower=lower)
    finally:
        os.close(fd)
    assert names == [("trusted.overlay.opaque", b"y"), ("user.overlay.opaque", b"y")]


def test_an_opaque_root_loses_everything(ground: Ground) -> None:
    assert paths(ground.apply(LOWER, archive(file(OPAQUE), file("new"), file("d/new")))) == ["/d", "/d/new", "/new"]
    assert paths(ground.apply(LOWER, archive(file("new"), file("d/new"), file(OPAQUE)))) == ["/d", "/d/new", "/new"]


def test_directories_only_passed_through_keep_their_status(ground: Ground) -> None:
    tree = ground.apply(LOWER, archive(file("d/sub/new"), file("d/.wh.a")))
    assert (tree["/d"].describe(), tree["/d"].mtime) == ("drwxr-x--- 3:0", 5)
    assert (tree["/d/sub"].describe(), tree["/d/sub"].mtime) == ("drwx------ 0:0", 6)
    tree = ground.apply(LOWER, archive(file("fresh/sub/new")))
    assert {(tree[path].describe(), tree[path].mtime) for path in ("/fresh", "/fresh/sub")} == {("drwxr-xr-x 0:0", 0)}


def test_a_link_of_a_lower_layer_is_followed_for_parents(ground: Ground) -> None:
    usr = archive(directory("usr/lib", 0o711), symlink("lib", "usr/lib"), symlink("abs", "/usr/lib"))
    tree = ground.apply(usr, archive(file("lib/x", b"1"), file("abs/y"), file("lib/.wh.z"), directory("lib/sub")))
    assert paths(tree) == ["/abs", "/lib", "/usr", "/usr/lib", "/usr/lib/sub", "/usr/lib/x", "/usr/lib/y"]
    assert tree["/lib"].link == "usr/lib"
    assert tree["/usr/lib"].describe() == "drwx--x--x 0:0"
    # An entry for the link itself replaces it.
    tree = ground.apply(usr, archive(directory("lib"), file("lib/x")))
    assert "/usr/lib/x" not in tree
    assert tree["/lib"].is_directory


def test_a_deleted_link_is_not_followed(ground: Ground) -> None:
    tree = ground.apply(LOWER, archive(file(".wh.link"), file("link/new")))
    assert "/link/new" in tree
    assert "/d/new" not in tree


@pytest.mark.parametrize(
    "layer",
    [
        (directory("d", 0o700), file("d/new"), file("d/a", b"new a"), file("d/.wh.b"), file(f"d/{OPAQUE}")),
        (file(".wh.d"), file("d/new"), directory("d/sub"), file("d/sub/new"), file("d/sub/.wh.x")),
        (file(".wh.d"), file("d/sub/new"), file("d/.wh.a"), file("d/b", b"kept"), file(".wh.f")),
        (file("d/.wh.sub"), file("d/sub/new"), file(f"d/sub/{OPAQUE}"), file("d/.wh.a"), directory("d")),
        (file(f"d/{OPAQUE}"), file("d/sub/new"), file("d/.wh.sub"), file("d/sub/.wh.x"), file("d/b")),
        (file("f", b"new"), file(".wh.f"), file("d/sub/.wh.x"), file("d/sub/y"), file(f"d/sub/{OPAQUE}")),
        (file(".wh.new"), file("new/x"), file("new/.wh.y"), file(f"new/{OPAQUE}"), directory("new", 0o700)),
    ],
)
def test_the_order_of_deletions_in_a_layer_does_not_matter(ground: Ground, layer: tuple[bytes, ...]) -> None:
    outcomes = [ground.apply(LOWER, archive(*order)) for order in list(permutations(layer))[::5]]
    assert outcomes[1:] == outcomes[:-1]


def test_three_layers_that_delete_and_make_again(ground: Ground) -> None:
    tree = ground.apply(LOWER, archive(file(".wh.d")), archive(directory("d", 0o711), file("d/back")))
    assert paths(tree) == ["/d", "/d/back", "/f", "/link"]
    assert tree["/d"].describe() == "drwx--x--x 0:0"
    tree = ground.apply(
        LOWER, archive(file("d/.wh.sub")), archive(file("d/sub/y")), archive(file(f"d/{OPAQUE}"), file("d/z"))
    )
    assert paths(tree) == ["/d", "/d/z", "/f", "/link"]


def test_a_file_and_a_directory_take_each_others_place(ground: Ground) -> None:
    tree = ground.apply(LOWER, archive(file("d", b"now a file"), directory("f"), file("f/in")))
    assert paths(tree) == ["/d", "/f", "/f/in", "/link"]
    tree = ground.apply(LOWER, archive(file("d", b"for a moment"), directory("d"), file("d/new")))
    assert paths(tree) == ["/d", "/d/new", "/f", "/link"]


def test_attributes_of_a_lower_directory_end_with_an_entry_of_its_own(ground: Ground) -> None:
    lower = archive(pax(("SCHILY.xattr.user.a", "1")), directory("d"), file("d/f"))
    assert ground.apply(lower, archive(file("d/g")))["/d"].xattrs == (("user.a", b"1"),)
    assert ground.apply(lower, archive(directory("d"), file("d/g")))["/d"].xattrs == ()


@pytest.mark.parametrize("directory_name", ["", "d/"])
@pytest.mark.parametrize(
    "name",
    [".wh.", ".wh..", ".wh...", ".wh..wh.foo", ".wh..wh..opq2", ".wh..wh.", ".wh./x", ".wh.a/x", ".wh..wh..opq/x"],
)
def test_names_that_are_no_whiteouts_are_refused(ground: Ground, directory_name: str, name: str) -> None:
    with pytest.raises(LayerError):
        ground.apply(LOWER, archive(file(directory_name + name)))


def test_a_whiteout_is_one_whatever_its_type_and_content(ground: Ground) -> None:
    for entry in (
        file("d/.wh.a", b"content" * 1000),
        directory("d/.wh.a"),
        symlink("d/.wh.a", os.fspath(ground.canary)),
        hardlink("d/.wh.a", "f"),
    ):
        assert "/d/a" not in ground.apply(LOWER, archive(entry))


@pytest.mark.parametrize("target", ["absolute", "relative"])
def test_a_whiteout_behind_a_link_deletes_inside_the_root(ground: Ground, target: str) -> None:
    outside = os.fspath(ground.outside)
    link = symlink("a", outside if target == "absolute" else "../" * 40 + outside)
    lower = archive(link, file(outside.lstrip("/") + "/canary", b"inside"))
    for name in (".wh.canary", OPAQUE):
        tree = ground.apply(lower, archive(file(f"a/{name}")))
        assert outside + "/canary" not in tree
        assert outside in tree


def test_a_link_whose_target_looks_like_a_whiteout_makes_no_such_directory(ground: Ground) -> None:
    with pytest.raises(LayerError, match="cannot be the name"):
        ground.apply(archive(symlink("a", ".wh.x"), file("a/f")))


# what was forgotten of a directory meanwhile

OTHERS = tuple(directory(f"other-{number}") for number in range(3))


@pytest.mark.parametrize("late", [".wh.d", "d/.wh.sub", f"d/{OPAQUE}", OPAQUE, "d/sub/.wh.x", f"d/sub/{OPAQUE}"])
def test_a_late_whiteout_hides_what_is_below_a_directory_of_its_layer(ground: Ground, late: str) -> None:
    own = (directory("d", 0o711, uid=4, mtime=7), directory("d/sub", 0o722, mtime=8), file("d/sub/own"))
    tree = ground.apply(LOWER, archive(*own, *OTHERS, file(late), *OTHERS))

    assert tree == ground.apply(LOWER, archive(file(late), *own, *OTHERS))
    assert "/d/sub/x" not in tree
    assert (tree["/d"].describe(), tree["/d"].mtime, tree["/d/sub"].mtime) == ("drwx--x--x 4:0", 7, 8)


def test_a_directory_keeps_its_time_though_entries_come_later(ground: Ground) -> None:
    first = (directory("d", mtime=7), directory("d/sub", mtime=8), directory("new", 0o700, mtime=9))
    later = (file("d/late"), *OTHERS, file("d/sub/late"), *OTHERS, file("new/late"), directory("new/in", mtime=3))
    tree = ground.apply(LOWER, archive(*first, *OTHERS, *later, *OTHERS, hardlink("new/link", "d/late"), *OTHERS))

    assert [tree[path].mtime for path in ("/d", "/d/sub", "/new", "/new/in")] == [7, 8, 9, 3]
    assert tree["/new"].describe() == "drwx------ 0:0"
    assert (tree["/d/a"].text, tree["/d/sub/x"].text) == (b"lower a", b"lower x")


def test_a_file_in_the_place_of_a_directory_that_was_listed_before(ground: Ground) -> None:
    listed = (directory("d"), directory("d/sub"), file("d/sub/own"))
    tree = ground.apply(LOWER, archive(*listed, *OTHERS, file("d", b"file"), *OTHERS))
    assert tree["/d"].text == b"file"
    tree = ground.apply(LOWER, archive(*listed, *OTHERS, file("d"), directory("d", 0o700, mtime=4), *OTHERS))
    assert [path for path in tree if path.startswith("/d")] == ["/d"]
