import os
import tracemalloc
from collections.abc import Callable, Iterator

from pybuild.builder.content.large_trees import emptied, lean
from pybuild.builder.content.source_tree import Item


def status(inode: int) -> os.stat_result:
    # Computed, so that each is an object of its own, as from the kernel.
    mode, size, large = (int(text) for text in ("16877", "4096", "99999"))
    times = {"st_mtime_ns": 5_000_000_001, "st_ctime_ns": 6_000_000_002, "st_rdev": 7}
    return os.stat_result((mode, inode, int("2049"), 1, 0, 0, size if inode < 3 else large, 8, 5, 6), times)


def test_items_keep_what_copies_have() -> None:
    one, two, three = (item.stat for item in lean(Item("n", "p/n", status(inode)) for inode in (1, 2, 3)))
    assert (one.st_mode, one.st_ino, one.st_dev, one.st_nlink, one.st_size) == (16877, 1, 2049, 1, 4096)
    assert (three.st_mtime_ns, three.st_ctime_ns, three.st_rdev, three.st_size) == (
        5_000_000_001,
        6_000_000_002,
        7,
        99999,
    )
    assert (two.st_ino, two.st_uid, two.st_gid) == (2, 0, 0)


def test_items_keep_their_paths() -> None:
    wanted = [("a", "a"), ("d/a", "d/a"), ("a", "tree/a"), ("d/a", "in/tree/d/a")]
    items = lean(Item(name, path, status(1)) for name, path in wanted)
    assert [(item.name, item.path) for item in items] == wanted


def test_an_item_takes_less_memory_than_with_its_status() -> None:
    def size_of(make: Callable[[Iterator[Item]], Iterator[Item]]) -> int:
        tracemalloc.start()
        kept = list(make(Item(f"name {number}", f"tree/name {number}", status(number)) for number in range(1000)))
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size // len(kept)

    assert size_of(lean) < 0.5 * size_of(iter)


def test_emptied_releases_each_element_before_the_next() -> None:
    items = [Item(name, name, status(1)) for name in "abc"]
    assert [(item.name, len(items)) for item in emptied(items)] == [("a", 2), ("b", 1), ("c", 0)]
