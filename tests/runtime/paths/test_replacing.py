import os
from pathlib import Path
from stat import S_IMODE

import pytest

from pybuild.runtime.paths.replacing import replace_file


def test_the_new_content_is_another_file_of_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old", encoding="utf-8")
    before = path.open(encoding="utf-8")
    with before:
        replace_file(path, "ü")
        assert before.read() == "old"
    assert path.read_bytes() == "ü".encode()
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file.json"]


def test_what_a_crash_left_is_overwritten_and_no_link_is_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    (tmp_path / "file.new").write_text("much more than half of it", encoding="utf-8")
    replace_file(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    other.write_text("mine", encoding="utf-8")
    (tmp_path / "file.new").symlink_to(other)
    with pytest.raises(OSError, match=r"file\.new"):
        replace_file(path, "newer")
    assert (path.read_text(encoding="utf-8"), other.read_text(encoding="utf-8")) == ("new", "mine")
