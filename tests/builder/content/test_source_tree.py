"""The entries of a tree that its ignore file and --exclude leave."""

import os
import socket

import pytest

from pybuild.builder.content.large_trees import _LeanItem
from pybuild.builder.content.selections import select
from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.plan.ops import Pick
from pybuild.runtime.paths.safepath import Root
from tests.helpers.selecting import files_of, picked, write


def test_sockets_in_a_directory_of_a_stage_are_left_out(directory):
    write(directory, "d/f")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(directory / "d" / "s"))
    os.mkfifo(directory / "d" / "pipe")
    assert files_of(directory, "d") == ["", "f", "pipe"]


def test_a_socket_of_a_stage_that_is_named_is_found(directory):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(directory / "s"))
    assert picked(directory, "s") == [("s", False, ["s"])]


@pytest.mark.parametrize(
    ("ignore", "names"),
    [
        ("d/b", ["", "a", "c", "c/x", "c/y"]),
        ("**/x", ["", "a", "b", "c", "c/y"]),
        ("d/c\n!d/c/y", ["", "a", "b", "c", "c/y"]),
        ("d\n!d/c/y", ["", "c", "c/y"]),
        ("*\n!d/a", ["", "a"]),
        ("d/c\n!d/c/nothing", ["", "a", "b"]),
    ],
)
def test_the_ignore_file_decides_what_is_in_a_directory(directory, ignore, names):
    write(directory, "d/a", "d/b", "d/c/x", "d/c/y")
    assert files_of(directory, "d", ignore=ignore) == names


def test_a_link_inside_a_directory_stays_a_link(directory):
    write(directory, "d/f")
    (directory / "d" / "l").symlink_to("/etc")
    assert files_of(directory, "d") == ["", "f", "l"]


def test_excluded_patterns_are_relative_to_the_directory_that_is_copied(directory):
    write(directory, "d/a.md", "d/a.c", "d/cache/x", "d/e/b.md", "d/e/cache/y")
    assert files_of(directory, "d", exclude="*.md\n**/cache") == ["", "a.c", "e", "e/b.md"]


@pytest.mark.parametrize("path", [".", "d"])
def test_what_a_copy_has_is_kept_of_every_entry_of_a_large_tree(directory, path, monkeypatch):
    monkeypatch.setattr("pybuild.builder.content.source_tree._LARGE", 2)
    write(directory, "d/a", "d/b", "d/sub/c")
    os.link(directory / "d/a", directory / "d/linked")
    (directory / "d/sym").symlink_to("a")
    os.mkfifo(directory / "d/pipe")
    with Root.open_host(directory) as root:
        [group] = select(SourceTree(root=root), Pick(path=path, input=1))
    assert len(group.items) > 7
    assert {type(item) for item in group.items} == {_LeanItem}
    fields = "mode ino dev nlink uid gid size mtime_ns ctime_ns rdev"
    for item in group.items:
        status = (directory / item.path).lstat()
        assert [getattr(item.stat, f"st_{name}") for name in fields.split()] == [
            getattr(status, f"st_{name}") for name in fields.split()
        ]
