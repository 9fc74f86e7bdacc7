"""The digests of what was selected, which stores and shared caches keep."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from pybuild.builder.content.selection_digest import content_digest, listing_digest
from pybuild.builder.content.source_tree import Group, Item, SourceTree
from pybuild.runtime.paths.safepath import Root

LISTING = "sha256:b984cc15fbfa730500a06c33860dd0ccdb4ef85df20f817ad6504d1fa59a3f8c"


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
        (False, "sha256:b58b08a242c47afd0401f719c1b6e47a8ffb0ee1ae9a973ec51017062855c1e8"),
        (True, "sha256:f58273e9080f8adb1396dd8df46960d0de7bcfe3bb2942f6ced8796c20990d5b"),
    ],
)
@pytest.mark.parametrize("lines", [0, 2, 1000])
def test_digests_of_a_selection_stay_the_same(
    of_context: bool, content: str, lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybuild.builder.content.selection_digest._LINES", lines)
    (tmp_path / "l").symlink_to("a/b")
    with Root.open_host(tmp_path) as root:
        source = SourceTree(root=root, owned_by_root=of_context)
        source.mounts[5] = "fs"
        assert str(listing_digest(source, GROUPS)) == LISTING
        found = content_digest(source, GROUPS, lambda item: hashlib.sha256(item.path.encode()).digest())
        assert str(found) == content
