"""The ranges of /etc/subuid and /etc/subgid."""

import os
import pwd
from pathlib import Path

from pybuild.runtime.sandbox.subordinate_ids import IdMap, all_ranges, subordinate_ids


def test_subordinate_ids_follow_the_own_id(tmp_path: Path) -> None:
    name = pwd.getpwuid(os.geteuid()).pw_name
    (tmp_path / "subuid").write_text(f"other:1:2\n{name}:100000:65536\n{os.geteuid()}:500000:10\nbroken\n")
    assert subordinate_ids(tmp_path / "subuid", 7) == (
        IdMap(0, 7, 1),
        IdMap(1, 100000, 65536),
        IdMap(65537, 500000, 10),
    )
    assert subordinate_ids(tmp_path / "missing", 7) == (IdMap(0, 7, 1),)


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("a:1:2\nb:x:2\n\nc:3\n4:5:6\n")
    assert all_ranges(tmp_path / "subuid") == [("a", 1, 2), ("4", 5, 6)]
    assert all_ranges(tmp_path / "missing") == []
