"""Laws of changes: they lead from the old tree to the new one, and every snapshotter tells the same ones."""

import errno
import operator
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.roots import OverlayRoot
from pybuild.runtime.snapshots.change import Change, ChangeKind
from pybuild.runtime.snapshots.changes import tree_changes
from pybuild.runtime.snapshots.copying_snapshotter import CopyingSnapshotter
from pybuild.runtime.snapshots.overlay_snapshotter import OverlaySnapshotter, mount_tree
from pybuild.runtime.snapshots.tree_copies import copy_tree
from tests.helpers.hosts import need_root
from tests.helpers.trees import Tree, read_directory

OLD = 1_000_000_000 * 10**9
NAMES = st.sampled_from(["a", "b", "c"])
PLACES = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
STEPS = st.one_of(
    st.tuples(st.just("write"), PLACES, st.sampled_from(["1", "2"])),
    st.tuples(st.just("folder"), PLACES, st.just("")),
    st.tuples(st.just("symlink"), PLACES, st.sampled_from(["x", "y"])),
    st.tuples(st.just("remove"), PLACES, st.just("")),
    st.tuples(st.just("mode"), PLACES, st.sampled_from(["600", "755"])),
    st.tuples(st.just("owner"), PLACES, st.sampled_from(["1", "2"])),
    st.tuples(st.just("attribute"), PLACES, st.sampled_from(["1", "2"])),
    st.tuples(st.just("rename"), PLACES, PLACES),
    st.tuples(st.just("fifo"), PLACES, st.just("")),
)
SCRIPTS = st.lists(STEPS, max_size=12)


@contextmanager
def scratch() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="changes-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def perform(root: Path, script: Iterable[tuple[str, str, str]]) -> None:
    """Do what can be done of *script* and give everything one time, so that times never tell what changed."""
    for step in script:
        with suppress(OSError):
            one(root, *step)
    for directory, directories, files in os.walk(root, topdown=False):
        for name in directories + files:
            path = os.path.join(directory, name)
            if os.lstat(path).st_mtime_ns != OLD:  # else every file of an overlay would be copied up
                os.utime(path, ns=(OLD, OLD), follow_symlinks=False)


def one(root: Path, verb: str, place: str, value: str) -> None:
    path = root / place
    match verb:
        case "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
            os.write(fd, value.encode())
            os.close(fd)
        case "folder":
            path.mkdir(parents=True)
        case "symlink":
            path.symlink_to(value)
        case "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        case "mode" if not path.is_symlink():
            path.chmod(int(value, 8))
        case "owner":
            os.chown(path, int(value), int(value), follow_symlinks=False)
        case "attribute" if path.is_file() and not path.is_symlink():
            os.setxattr(path, "user.test", value.encode())
        case "rename":
            rename(path, root / value)
        case "fifo":
            os.mkfifo(path)


def rename(old: Path, new: Path) -> None:
    """Rename as mv does it: overlayfs refuses to rename a directory of a lower layer, so that is copied with all it has."""
    try:
        old.rename(new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with suppress(FileNotFoundError):
            new.rmdir()
        new.mkdir()
        copy_tree(old, new)
        shutil.rmtree(old)


def apply(changes: Iterable[Change], source: Path, target: Path) -> None:
    """Carry out *changes* on *target*, taking content from *source*: what a layer does, without a layer."""
    for change in changes:
        old, new = target / change.path, source / change.path
        if old.is_symlink() or (old.exists() and not (new.is_dir() and old.is_dir() and not new.is_symlink())):
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        assert change.kind is not ChangeKind.OPAQUE
        if change.kind is not ChangeKind.DELETE:
            if new.is_dir() and not new.is_symlink():
                old.mkdir(exist_ok=True)
                for key in os.listxattr(old):
                    os.removexattr(old, key)
            elif new.is_fifo() and not new.is_symlink():
                os.mkfifo(old)
            else:
                shutil.copyfile(new, old, follow_symlinks=False)
            shutil.copystat(new, old, follow_symlinks=False)
            found = new.lstat()
            os.chown(old, found.st_uid, found.st_gid, follow_symlinks=False)
            if not old.is_symlink():
                old.chmod(found.st_mode & 0o7777)


def content(directory: Path) -> Tree:
    tree = read_directory(directory)
    del tree["/"]
    return tree


@settings(max_examples=100)
@given(before=SCRIPTS, after=SCRIPTS)
def test_applying_the_changes_to_the_old_tree_gives_the_new_one(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]
) -> None:
    need_root()
    with scratch() as directory:
        for name, script in (("old", before), ("copy", before), ("new", after)):
            (directory / name).mkdir()
            perform(directory / name, script)
        with Root.open_host(directory / "old") as old, Root.open_host(directory / "new") as new:
            changes = list(tree_changes(old.fd, new.fd))
        apply(changes, directory / "new", directory / "copy")
        perform(directory / "copy", [])
        assert content(directory / "copy") == content(directory / "new")
        assert len({change.path for change in changes}) == len(changes)


@settings(max_examples=60)
@given(scripts=st.lists(SCRIPTS, min_size=1, max_size=3))
def test_overlay_copies_and_trees_taken_over_tell_the_same_changes_and_hold_the_same_trees(
    scripts: list[list[tuple[str, str, str]]],
) -> None:
    need_root()
    with scratch() as directory:
        layered, copied = OverlaySnapshotter(directory / "overlay"), CopyingSnapshotter(directory / "copies")
        taking = CopyingSnapshotter(directory / "taken")
        parent = None
        for number, script in enumerate(scripts):
            streams, trees = [], []
            name = f"sha256:{number:064x}"
            for keeper in (layered, copied, taking):
                active = keeper.prepare(parent, spare=partial(operator.is_, keeper, taking))
                root = keeper.root(active)
                if isinstance(root, OverlayRoot):
                    mounted = mount_tree(root.lowers[::-1], directory, upper=root.upper, work=root.work)
                    perform(Path(f"/proc/self/fd/{mounted}"), script)
                    os.close(mounted)
                else:
                    perform(active.directory, script)
                streams.append(list(keeper.changes(active, partial(copied.open, parent))))
                keeper.commit(active, name)
                with Root(keeper.open(name)) as tree:
                    trees.append(content(Path(f"/proc/self/fd/{tree.fd}")))
            assert streams[0] == streams[1] == streams[2]
            assert trees[0] == trees[1] == trees[2]
            parent = name
        assert taking.names() == (() if parent is None else (parent,))
