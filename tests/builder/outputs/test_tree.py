import os
from pathlib import Path

from pybuild.builder.outputs.tree import directories
from pybuild.runtime.paths.filelock import remove_tree


def paths(root: Path) -> list[str]:
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        return [directory.inner(entry.name) for directory in directories(fd) for entry in directory.entries]
    finally:
        os.close(fd)


def test_parents_come_before_children_and_names_in_byte_order(tmp_path: Path) -> None:
    for path in ("b/y", "a/x", "B"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "a" / "\udcff").touch()
    assert paths(tmp_path) == ["B", "a", "b", "a/x", "a/\udcff", "b/y"]


def test_links_to_directories_are_not_entered(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "out").symlink_to("/")
    assert paths(tmp_path) == ["loop", "out"]


def test_a_deep_tree_needs_neither_stack_nor_descriptors(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=fd)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    found = paths(tmp_path)
    # Removed here: pytest's own way to do it would run out of stack.
    top = os.open(tmp_path, os.O_RDONLY)
    remove_tree(top, "d" * 20)
    os.close(top)
    assert len(found) == 1500
