"""The digests of what was selected, which stores and shared caches keep."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pybuild.builder.content.selection_digest import Stretch, content_digest, divide, listing_digest, stretch_content
from pybuild.builder.content.source_tree import Group, Item, SourceTree
from pybuild.runtime.paths.safepath import Root

LISTING = "sha256:8a58c8f046fdbaed343eec8382c4dca7aafb136ea210961fa3c43768020a6a6d"


def item(name: str, kind: int, mode: int, size: int, owner: tuple[int, int] = (0, 0)) -> Item:
    status = (kind | mode, 11, 5, 1, *owner, size, 0, 0, 0)
    return Item(name, name, os.stat_result(status, {"st_mtime_ns": 7, "st_ctime_ns": 8}))


DIRECTORY = [
    item("", stat.S_IFDIR, 0o750, 40, (3, 4)),
    item("f", stat.S_IFREG, 0o644, 2, (1, 2)),
    item("l", stat.S_IFLNK, 0o777, 3),
    item("p", stat.S_IFIFO, 0o600, 0),
]
GROUPS = [Group("d", True, DIRECTORY), Group("one", False, [item("one", stat.S_IFREG, 0o755, 3)])]


@pytest.mark.parametrize(
    ("of_context", "content"),
    [
        (False, "sha256:dd2bebb7fa049c5284d866b8aa56aa72eba3038398c49c1940992e31963afc63"),
        (True, "sha256:6d924f464793de6a5c08a326499cf6cfb44283ce1463c1f84768336e89c0bbc5"),
    ],
)
def test_digests_of_a_selection_stay_the_same(of_context: bool, content: str, tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to("a/b")
    with Root.open_host(tmp_path) as root:
        source = SourceTree(root=root, owned_by_root=of_context, id="here")
        source.mounts[5] = "fs"
        divided = divide(source, GROUPS)
        assert str(listing_digest(GROUPS, divided)) == LISTING
        found = content_digest(GROUPS, divided, lambda *chosen: stretch_content(source, *chosen, digest_of_path))
        assert str(found) == content


def digest_of_path(chosen: Item) -> bytes:
    return hashlib.sha256(chosen.path.encode()).digest()


def listed(source: SourceTree, names: Sequence[str]) -> list[Stretch]:
    items = [item(name, stat.S_IFREG, 0o644, 1) for name in names]
    return divide(source, [Group("d", True, items)])[0]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SourceTree]:
    with Root.open_host(tmp_path) as root:
        source = SourceTree(root=root, id="here")
        source.mounts[5] = "fs"
        yield source


def test_stretches_cover_all_entries_and_each_is_of_one_directory(source: SourceTree) -> None:
    names = [
        "",
        *(f"{number}" for number in range(500)),
        *(f"a/{number}" for number in range(500)),
        "a/b/é",
        "c/\udcff",
    ]
    stretches = listed(source, names)
    assert [stretches[0].end, stretches[-1].end] == [1, len(names)]
    assert [stretch.start for stretch in stretches[1:]] == [stretch.end for stretch in stretches[:-1]]
    for stretch in stretches:
        assert {os.path.dirname(name) for name in names[stretch.start : stretch.end]} == {stretch.directory}
    assert 8 < len(stretches) < 50


def test_an_entry_more_or_less_moves_no_boundary(source: SourceTree) -> None:
    names = [f"{number:03}" for number in range(500)]
    before = {stretch.listing for stretch in listed(source, names)}
    for changed in ([*names[:100], "100+", *names[100:]], [*names[:100], *names[101:]]):
        after = {stretch.listing for stretch in listed(source, changed)}
        assert len(before - after) <= 2


def test_a_stretch_has_the_same_listing_by_whatever_directory_it_was_selected(source: SourceTree) -> None:
    above, below = listed(source, ["a/b/c", "a/b/d"]), listed(source, ["c", "d"])
    assert [stretch.listing for stretch in above] == [stretch.listing for stretch in below]
    assert [stretch.directory for stretch in above] == ["a/b"]


def test_the_file_system_of_each_entry_is_in_a_listing(source: SourceTree) -> None:
    found = []
    for device in (5, 6):
        source.mounts[6] = "other"
        status = os.stat_result((stat.S_IFREG, 11, device, 1, 0, 0, 1, 0, 0, 0), {"st_mtime_ns": 7, "st_ctime_ns": 8})
        items = [item("a", stat.S_IFREG, 0, 1), Item("b", "b", status)]
        found.append(divide(source, [Group("d", True, items)])[0][0].listing)
    source.mounts[6] = None
    assert found[0] != found[1]
    assert divide(source, [Group("d", True, items)])[0][0].listing == b""
    assert listing_digest([Group("d", True, items)], divide(source, [Group("d", True, items)])) is None
