"""Trees lie apart for each id map."""

from pathlib import Path

import pytest

from pybuild.runtime.errors import UnmappedOwner
from pybuild.runtime.snapshots import id_map


def _of(directory: Path, text: str) -> str:
    directory.mkdir()
    for name in ("uid_map", "gid_map"):
        (directory / name).write_text(text)
    return id_map.id_map(directory)


def test_ranges_that_continue_each_other_are_one(tmp_path: Path) -> None:
    host = _of(tmp_path / "host", "         0          0 4294967295\n")
    assert host == "0:0+4294967295/0:0+4294967295"
    assert _of(tmp_path / "same", "0 0 1\n1 1 4294967294\n") == host
    user = _of(tmp_path / "user", "0 1000 1\n1 100000 65536\n65537 200000 10\n")
    assert user.startswith("0:1000+1,1:100000+65536,65537:200000+10/")
    assert [id_map.is_host_map(host), id_map.is_host_map(user)] == [True, False]
    assert [id_map.is_of_user(host), id_map.is_of_user(user)] == [False, True]


def test_each_map_and_kind_of_attributes_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for map_ in ("0:0+4294967295/0:0+4294967295", "0:1000+1/0:1000+1", "0:1000+2/0:1000+1"):
        monkeypatch.setattr(id_map, "id_map", lambda map_=map_: map_)
        for prefix in ("trusted.overlay.", "user.overlay."):
            monkeypatch.setattr(id_map, "overlay_xattr_prefix", lambda prefix=prefix: prefix)
            found.add(id_map.tree_suffix(overlay=True))
        found.add(("copies", id_map.tree_suffix(overlay=False)))
    assert len(found) == 9
    assert "" in found
    assert ("copies", "") in found


def test_an_owner_beyond_the_ids_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_map, "id_map", lambda: "0:1000+1,1:100000+65535/0:1000+1,1:100000+9,20:500+3")
    for uid, gid in ((0, 0), (65535, 9), (1, 22)):
        id_map.check_owner(uid, gid, "/a")
    refused = {(65536, 0): "user 65536 is beyond", (0, 10): "group 10 is beyond", (0, 23): "which go up to 22"}
    for (uid, gid), text in refused.items():
        with pytest.raises(UnmappedOwner, match=f"^/a: .*{text}") as caught:
            id_map.check_owner(uid, gid, "/a")
        assert "usermod --add-subuids" in caught.value.hint
