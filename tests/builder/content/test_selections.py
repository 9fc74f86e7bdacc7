import os

import pytest

from pybuild.builder.content.selection_digest import content_digest, divide, listing_digest, stretch_content
from pybuild.builder.content.selections import inline_group, select
from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Exact, Inline, Pick
from pybuild.runtime.paths.safepath import Root
from tests.helpers.selecting import files_of, picked, write


def digest_of(directory, path, **about):
    with Root.open_host(directory) as root:
        source = SourceTree(root=root, **about)
        groups = select(source, Pick(path=path, input=1))

        def content_of(items, stretch):
            return stretch_content(source, items, stretch, lambda item: (directory / item.path).read_bytes())

        return content_digest(groups, divide(source, groups), content_of)


def test_a_file_is_one_group_under_its_own_name(directory):
    write(directory, "a/f")
    assert picked(directory, "a/f") == [("f", False, ["f"])]


def test_an_exact_path_is_a_name_even_where_it_looks_like_a_pattern(directory):
    write(directory, "app/[slug]/here", "app/s/elsewhere", "other/linked")
    (directory / "app/[slug]/link").symlink_to("../../other")
    with Root.open_host(directory) as root:
        source = SourceTree(root=root)
        found = [[item.name for item in group.items] for group in select(source, Exact(path="app/[slug]", input=1))]
        behind = [
            [item.name for item in group.items] for group in select(source, Exact(path="app/[slug]/link", input=1))
        ]
        with pytest.raises(BuildError, match=r'"/app/\[ab\]": not found'):
            select(source, Exact(path="app/[ab]", input=1))
    assert found == [["", "here", "link"]]
    assert behind == [["", "linked"]]


@pytest.mark.parametrize("path", ["a", "a/", "a/.", "/a", "../../a", "./x/../a"])
def test_a_directory_gives_its_content_in_byte_order_parents_first(directory, path):
    write(directory, "a/z", "a/b/c", "a/b.txt", "a/é", "a/B")
    assert files_of(directory, path) == ["", "B", "b", "b.txt", "z", "é", "b/c"]


@pytest.mark.parametrize("path", [".", "/", "", "..", "../.."])
def test_no_path_climbs_above_the_context(directory, path):
    write(directory, "f")
    write(directory.parent, "outside")
    assert files_of(directory, path) == ["", "f"]


def test_a_pattern_that_matches_a_link_to_nothing_is_an_error_that_names_its_target(directory):
    write(directory, "a.txt")
    (directory / "b.txt").symlink_to("gone")
    with pytest.raises(BuildError, match=r'"/b\.txt": not found') as caught:
        picked(directory, "*.txt")
    assert caught.value.hint == 'it is a symlink to "/gone", not there'


@pytest.mark.parametrize("parents", [True, False])
def test_a_path_below_a_link_to_nothing_names_the_link_and_its_target(directory, parents):
    write(directory, "sub/y", "x")
    (directory / "sub/link").symlink_to("gone")
    with Root.open_host(directory) as root, pytest.raises(BuildError) as caught:
        select(SourceTree(root=root), Pick(path="sub/link/x", input=1), None, parents=parents)
    assert caught.value.hint == '"/sub/link" is a symlink to "/sub/gone", which is not there'


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("f/x", "f/x: not a directory"),
        ("loop", "loop: too many levels of symbolic links"),
        ("l*", "loop: too many levels of symbolic links"),
    ],
)
def test_a_path_that_cannot_be_followed_is_not_there(directory, path, hint):
    write(directory, "f")
    (directory / "loop").symlink_to("loop")
    with pytest.raises(BuildError, match="not found in the build context") as caught:
        picked(directory, path)
    assert caught.value.hint == hint


def test_a_hidden_directory_is_there_only_with_something_selected_again(directory):
    write(directory, "a/f", "b/g", "b/h")
    ignore = "?\n!b/g\n!*/c\n"
    assert picked(directory, "?", ignore) == [("b", True, ["", "g"])]
    with pytest.raises(BuildError, match='"/a": not found'):
        picked(directory, "a", ignore)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (
            "../top.tx",
            '".." does not lead out of the build context, so ../top.tx is looked up as /top.tx; did you mean',
        ),
        ("/src/../../x/y", '".." does not lead out of the build context, so /src/../../x/y is looked up as /x/y; '),
        ("src/../top.tx", 'did you mean "top.txt"?'),
    ],
)
def test_a_path_that_leads_out_is_said_to_be_cut(directory, path, hint):
    write(directory, "src/main.py", "top.txt")
    with pytest.raises(BuildError, match="not found in the build context") as caught:
        picked(directory, path)
    assert caught.value.hint.startswith(hint)


def test_a_path_that_is_not_there_is_an_error_that_names_it(directory):
    with pytest.raises(BuildError, match='"/no/where": not found in the build context') as caught:
        picked(directory, "no/where")
    assert caught.value.hint == "the build context is empty"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("scr/main.py", "src/main.py"),
        ("src/mian.py", "src/main.py"),
        ("SRC/main.py", "src/main.py"),
        ("main.py", "src/main.py"),
        ("lib/main.py", "src/main.py"),
        ("home/me/context/src/main.py", "src/main.py"),
        ("top.tx", "top.txt"),
        ("twice", 'a/twice" or "b/twice'),
        ("often", 'a/often", "b/often", "c/often" or another one'),
    ],
)
def test_what_may_have_been_meant_is_the_hint(directory, path, meant):
    write(directory, "src/main.py", "top.txt", "a/twice", "b/twice", "secret/key", *(f"{c}/often" for c in "abcd"))
    with pytest.raises(BuildError, match=f'"/{path}": not found in the build context') as caught:
        picked(directory, path, ignore="secret")
    assert caught.value.hint == f'did you mean "{meant}"?'.replace('one"?', "one?")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("src/other", '"/src" contains main.py and more/'),
        ("src/more/other", '"/src/more" contains a, b, c and 2 more'),
        ("secre", "the build context contains src/"),
        ("key", "the build context contains src/"),
        ("secret/other", "the build context contains src/"),
        ("empty/other", "the build context contains src/"),
        ("nothing/like/it", "the build context contains src/"),
        ("src/none/x", 'everything in "/src/none" is excluded, by line 2 of .dockerignore: "src/none/*"'),
    ],
)
def test_what_is_there_instead_is_the_hint_when_nothing_is_similar(directory, path, hint):
    write(directory, "src/main.py", *(f"src/more/{name}" for name in "abcde"), "src/none/c", "secret/key")
    ignore = "secret\nsrc/none/*" if path == "src/none/x" else "secret\nsrc/none"
    with pytest.raises(BuildError, match="not found") as caught:
        picked(directory, path, ignore=ignore)
    assert caught.value.hint == hint


def test_looking_for_a_hint_ends_in_a_large_tree(directory, monkeypatch):
    write(directory, *(f"{number:03}/x" for number in range(20)), "zz/wanted")
    monkeypatch.setattr("pybuild.builder.content.missing_source._LOOKED_AT", 10)
    with pytest.raises(BuildError, match="not found") as caught:
        picked(directory, "wanted")
    assert caught.value.hint == "the build context contains 000/, 001/, 002/ and 18 more"


def test_a_path_that_the_ignore_file_hides_is_an_error_that_says_so(directory):
    write(directory, "secret/key")
    with pytest.raises(BuildError, match="not found") as caught:
        picked(directory, "secret/key", ignore="other\nsecret")
    assert caught.value.hint == 'it is excluded by line 2 of .dockerignore: "secret"'


def test_a_link_that_is_named_is_followed_inside_the_context_alone(directory):
    write(directory.parent, "outside")
    write(directory, "outside", "d/f")
    (directory / "up").symlink_to("../../../outside")
    (directory / "root").symlink_to("/d")
    assert picked(directory, "up") == [("up", False, ["up"])]
    assert files_of(directory, "root") == ["", "f"]
    assert files_of(directory, "root/f") == ["f"]


def test_a_link_out_of_the_context_leads_nowhere(directory):
    (directory / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(BuildError, match='"/passwd": not found'):
        picked(directory, "passwd")


def test_a_pattern_finds_nothing_that_is_ignored(directory):
    write(directory, "a.txt", "b.txt")
    assert files_of(directory, "*.txt", ignore="a.txt") == ["b.txt"]


@pytest.mark.parametrize("pattern", ["nowhere/*", "d/none/*.txt", "gone/*", "hidden/x*"])
def test_a_pattern_that_matches_nothing_needs_the_directory_that_it_begins_with(directory, pattern):
    write(directory, "d/a", "hidden/y")
    (directory / "gone").symlink_to("nowhere")
    with pytest.raises(BuildError, match=f'"/{pattern.rpartition("/")[0]}": not found'):
        picked(directory, pattern, ignore="hidden")
    assert picked(directory, "d/*.none") == picked(directory, "none*/x") == []


def test_an_alias_of_an_ignored_directory_shows_nothing_of_it(directory):
    write(directory, "secret/key", "secret/sub/a", "f")
    (directory / "alias").symlink_to("secret")
    with pytest.raises(BuildError, match="not found"):
        picked(directory, "alias/key", ignore="secret")
    with pytest.raises(BuildError, match="not found"):
        picked(directory, "alias", ignore="secret")
    assert files_of(directory, "alias", ignore="secret\n!secret/sub") == ["", "sub", "sub/a"]


@pytest.mark.parametrize("path", ["alias/key", "alias/sub/a", "alias/k*", "second/key"])
def test_a_pattern_that_names_a_path_through_a_link_excludes_nothing(directory, path):
    write(directory, "secret/key", "secret/sub/a")
    (directory / "alias").symlink_to("secret")
    (directory / "second").symlink_to("alias")
    assert picked(directory, path, ignore="alias/*\nsecond/key") == picked(directory, path) != []


@pytest.mark.parametrize("path", ["second", "second/", "second/key", "second/k*", "second/sub/*", "file"])
def test_what_leads_through_an_excluded_link_is_not_there(directory, path):
    write(directory, "secret/key", "secret/sub/a")
    (directory / "alias").symlink_to("secret")
    (directory / "second").symlink_to("alias")
    (directory / "file").symlink_to("alias/key")
    with pytest.raises(BuildError, match="not found") as caught:
        picked(directory, path, ignore="alias\n!alias/key")
    assert caught.value.hint == 'it leads through the symlink "/alias", excluded by line 1 of .dockerignore: "alias"'


def test_excluded_patterns_hold_for_the_files_that_a_pattern_matches(directory):
    write(directory, "one.txt", "two.txt")
    assert files_of(directory, "*.txt", exclude="one.txt") == ["two.txt"]


def test_the_content_of_a_heredoc_is_a_group_of_one_file():
    group = inline_group(Inline(name="EOF", content="é\udcff"))
    assert (group.base, group.is_directory) == ("EOF", False)
    assert group.items[0].data == b"\xc3\xa9\xff"
    assert group.items[0].stat.st_mode == 0o100644


def test_neither_times_nor_places_are_part_of_the_content(directory):
    write(directory, "a/f", "b/f")
    (directory / "b" / "f").write_text("a/f")
    os.utime(directory / "b" / "f", (1, 1))
    assert digest_of(directory, "a/f") == digest_of(directory, "b/f")


def test_a_directory_of_the_context_lends_neither_its_name_nor_its_mode(directory):
    write(directory, "d/f")
    before = digest_of(directory, "d", owned_by_root=True)
    (directory / "d").rename(directory / "e")
    (directory / "e").chmod(0o700)
    assert digest_of(directory, "e", owned_by_root=True) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda place: (place / "f").write_text("other"),
        lambda place: (place / "f").chmod(0o755),
        lambda place: (place / "f").rename(place / "g"),
        lambda place: (place / "new").mkdir(),
        lambda place: (place / "sub").chmod(0o700),
        lambda place: ((place / "l").unlink(), (place / "l").symlink_to("g")),
        lambda place: ((place / "l").unlink(), (place / "l").write_text("f")),
    ],
)
def test_names_modes_links_and_bytes_are_part_of_the_content(directory, change):
    write(directory, "d/f", "d/sub/x")
    (directory / "d" / "l").symlink_to("f")
    before = digest_of(directory, "d")
    change(directory / "d")
    assert digest_of(directory, "d") != before


def test_owners_count_in_a_stage_but_not_in_the_context(directory):
    write(directory, "d/f")
    in_context, in_stage = digest_of(directory, "d", owned_by_root=True), digest_of(directory, "d")
    os.chown(directory / "d" / "f", 5, 6)
    assert digest_of(directory, "d", owned_by_root=True) == in_context
    assert digest_of(directory, "d") != in_stage


def test_names_that_run_together_differ(directory):
    write(directory, "a/bc", "b/b")
    (directory / "b" / "b").write_text("a/bc")
    assert digest_of(directory, "a") != digest_of(directory, "b")


def listing_of(directory):
    with Root.open_host(directory) as root:
        source = SourceTree(root=root, id="here")
        groups = select(source, Pick(path=".", input=1))
        return listing_digest(groups, divide(source, groups))


def test_a_listing_changes_when_a_file_is_written_even_if_its_times_are_set_back(directory):
    write(directory, "f")
    status = (directory / "f").stat()
    before = listing_of(directory)
    assert listing_of(directory) == before
    (directory / "f").write_text("F")
    os.utime(directory / "f", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert listing_of(directory) != before
