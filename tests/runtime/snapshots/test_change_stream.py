"""The order of a stream of changes, whatever finds them."""

import os
import stat

import pytest

from pybuild.runtime.paths.safepath import DirectoryEntry
from pybuild.runtime.snapshots.change import Change, ChangeKind
from pybuild.runtime.snapshots.change_stream import (
    Place,
    TreeStep,
    in_order,
    is_present,
    step_of,
    steps_added,
    with_deletions,
)


def added(path: str) -> Change:
    return Change(ChangeKind.ADD, path)


def entry(name: str, mode: int) -> DirectoryEntry:
    return DirectoryEntry(name, os.stat_result((mode, 0, 0, 1, 0, 0, 0, 0, 0, 0)))


def test_the_changes_in_a_directory_follow_its_own_and_come_before_those_of_its_neighbour() -> None:
    tree: dict[str, list[TreeStep]] = {
        "": [TreeStep("a", added("a"), Place("a")), TreeStep("b", added("b"))],
        "a": [TreeStep("in", None, Place("a/in")), TreeStep("z", added("a/z"))],
        "a/in": [TreeStep("f", added("a/in/f"))],
    }
    assert [change.path for change in in_order(Place(), lambda place: tree[place.path])] == ["a", "a/in/f", "a/z", "b"]


def test_a_directory_is_read_when_its_own_change_has_been_used() -> None:
    read: list[str] = []

    def steps(place: Place) -> list[TreeStep]:
        read.append(place.path)
        return [] if place.path else [TreeStep(name, added(name), Place(name)) for name in ("a", "b")]

    stream = in_order(Place(), steps)
    assert (next(stream).path, read) == ("a", [""])
    assert (next(stream).path, read) == ("b", ["", "a"])


def test_deletions_are_sorted_in_by_the_bytes_of_the_names() -> None:
    steps = with_deletions(Place("d"), [TreeStep("b", added("d/b"))], ["\udcff", "é", "a"])
    assert [step.name for step in steps] == ["a", "b", "é", "\udcff"]
    assert steps[0].change == Change(ChangeKind.DELETE, "d/a")


@pytest.mark.parametrize(
    ("is_new", "is_same", "change"),
    [
        (True, False, Change(ChangeKind.ADD, "d/f")),
        (False, False, Change(ChangeKind.MODIFY, "d/f")),
        (False, True, None),
    ],
)
def test_an_entry_is_new_modified_or_the_same(is_new: bool, is_same: bool, change: Change | None) -> None:
    step = step_of(Place("d"), "f", None, is_new=is_new, is_same=is_same)
    assert step == TreeStep("f", change)


def test_of_an_unchanged_directory_the_entries_are_still_compared() -> None:
    inner = Place("d")
    assert step_of(Place(), "d", inner, is_new=False, is_same=True) == TreeStep("d", None, inner)


def test_everything_below_a_new_directory_is_new() -> None:
    found = [(entry("d", stat.S_IFDIR), True), (entry("gone", stat.S_IFREG), False)]
    assert steps_added(Place(merged=True), found) == [
        TreeStep("d", added("d"), Place("d", paired=False, merged=True)),
    ]


@pytest.mark.parametrize(
    ("mode", "device", "present"),
    [
        (stat.S_IFREG, 0, True),
        (stat.S_IFIFO, 0, True),
        (stat.S_IFSOCK, 0, False),
        (stat.S_IFCHR, 0, False),
        (stat.S_IFCHR, os.makedev(1, 3), True),
    ],
)
def test_sockets_and_whiteouts_count_as_absent(mode: int, device: int, present: bool) -> None:
    status = os.stat_result((mode, 0, 0, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": device})
    assert is_present(status) == present
