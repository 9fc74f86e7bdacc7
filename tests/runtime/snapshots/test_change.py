"""A change is one path and what happened to it."""

import pytest

from pybuild.runtime.snapshots.change import Change, ChangeKind


def test_changes_are_equal_by_kind_and_path() -> None:
    change = Change(ChangeKind.ADD, "usr/bin")
    assert {change, Change(ChangeKind.ADD, "usr/bin"), Change(ChangeKind.DELETE, "usr/bin")} == {
        change,
        Change(ChangeKind.DELETE, "usr/bin"),
    }
    with pytest.raises(AttributeError):
        change.path = "etc"  # type: ignore[misc]


def test_there_are_four_kinds() -> None:
    assert [kind.value for kind in ChangeKind] == ["add", "modify", "delete", "opaque"]
