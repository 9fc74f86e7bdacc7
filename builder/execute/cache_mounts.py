"""Cache mounts: directories of the store that steps with the same id share. No key depends on their content.

The name of a cache mount consists of its id, its initial content (``from`` and ``source``), and its mode and owner. As
in BuildKit, a mount with another initial content is another one, and ``--no-cache`` empties it.
"""

import os
import secrets
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.execute.job import Work
from pybuild.builder.plan.ops import CacheMount
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.cache_mounts import check_map, mount_directory, note_use
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.sandbox.isolation import is_chroot
from pybuild.runtime.snapshots.id_map import check_owner
from pybuild.runtime.snapshots.tree_copies import copy_open_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def cache_name(mount: CacheMount) -> str:
    """Return the name of a cache mount without initial content, which is also the name of its lock."""
    owner = f" {mount.mode} {mount.uid}:{mount.gid}" if (mount.mode, mount.uid, mount.gid) != (None, 0, 0) else ""
    return f"cache mount {mount.id or mount.target}{owner}"


def cache_directory(mount: CacheMount, work: Work, stack: ExitStack) -> Path:
    """Return the directory of a cache mount, and create it if it is missing; *stack* releases it.

    With ``sharing=private`` it is the first directory of the name that no other step uses.

    Raises:
        BuildError: the initial content of the cache does not exist.
    """
    first = _full_name(mount, work)
    name, number = first, 0
    while mount.sharing == "private":
        try:
            stack.enter_context(work.store.locks.exclusive(name, lambda: True))
            break
        except Cancelled:
            number += 1
            name = f"{first} #{number}"
    waiting = partial(work.say, f"waiting for another step that makes the {name}")
    with work.store.locks.exclusive(f"make {name}", work.cancel.is_set, waiting):
        check_map(name, work.store)
        if work.job.ignore_cache and work.is_first(name):
            _set_aside(name, work.store)
            directory = _make(name, mount, work)
        else:
            directory = present_mount(name, work.store) or _make(name, mount, work)
        # After a chroot alone, `reserve` has taken this lock, for this step only.
        if not is_chroot():
            stack.enter_context(work.store.locks.shared(f"use {name}", work.cancel.is_set))
        note_use(name, work.store)
        return directory


def reserve(mounts: Iterable[CacheMount], work: Work, stack: ExitStack) -> None:
    """Lock the cache mounts of a step for this step alone, until *stack* ends.

    With the isolation ``chroot`` they are moved into the tree of the step instead of being mounted, so two steps cannot
    use one at the same time.

    Raises:
        BuildError: one is mounted twice.
    """
    shared = [_full_name(mount, work) for mount in mounts if mount.sharing != "private"]
    for name in sorted(shared):  # in one order, as in `mounts`
        if shared.count(name) > 1:
            raise BuildError(f"the {name} is mounted twice in one step", hint="isolation chroot cannot do that")
        waiting = partial(work.say, f"waiting for another step that uses the {name}")
        stack.enter_context(work.store.locks.exclusive(f"use {name}", work.cancel.is_set, waiting))
        if not mount_directory(name, work.store).exists():
            # It may still be in the tree of a step whose builder was killed. A sweep moves it back.
            work.store.snapshots.sweep()


def _full_name(mount: CacheMount, work: Work) -> str:
    """Return the name of a cache mount including its initial content."""
    layers = work.job.inputs[mount.input] if mount.input >= 0 else None
    return cache_name(mount) + origin(mount, layers or Layers())


def _set_aside(name: str, store: Store) -> None:
    """Rename a cache mount so that a new one can be created, and delete it unless another build is using it.

    A directory that is in use is deleted by a later call for the same name.
    """
    directory = mount_directory(name, store)
    with suppress(FileNotFoundError):
        directory.rename(directory.with_name(f"old-{directory.name}-{secrets.token_hex(8)}"))
    with suppress(Cancelled), store.locks.exclusive(f"use {name}", lambda: True):
        directories = os.open(directory.parent, _DIRECTORY)
        try:
            for old in directory.parent.glob(f"old-{directory.name}-*"):
                remove_tree(directories, old.name)
        finally:
            os.close(directories)


def present_mount(name: str, store: Store) -> Path | None:
    """Return the directory of a cache mount; None when it does not exist, and no imported cache has its content."""
    directory, imported = mount_directory(name, store), store.cache.imported
    if directory.exists() or (imported is not None and imported.fill_mount(name, directory)):
        return directory
    return None


def origin(mount: CacheMount, layers: Layers) -> str:
    """Return the part of the name of a cache mount for its initial content; *layers* are those of its ``from``."""
    if mount.input < 0:
        return ""
    names = layers.chain_ids
    return f" from {names[-1] if names else 'nothing'} /{mount.source.strip('/')}"


def _make(name: str, mount: CacheMount, work: Work) -> Path:
    """Create the directory of a cache mount with its initial content, atomically. The caller holds its lock."""
    directory = mount_directory(name, work.store)
    new = directory.with_name(f"new-{directory.name}")
    directories = os.open(directory.parent, _DIRECTORY)
    try:
        remove_tree(directories, new.name)  # left by a builder that was killed
        new.mkdir(mode=0o755)
        _fill(new, mount, work)
        new.rename(directory)
    finally:
        os.close(directories)
    return directory


def _fill(directory: Path, mount: CacheMount, work: Work) -> None:
    if mount.input >= 0:
        _copy(mount, work, directory)
    if mount.input < 0 or mount.mode is not None:
        directory.chmod(0o755 if mount.mode is None else mount.mode)
    if mount.input < 0 or mount.uid or mount.gid:
        check_owner(mount.uid, mount.gid, f"the cache mount at {mount.target}")
        os.chown(directory, mount.uid, mount.gid)


def _copy(mount: CacheMount, work: Work, directory: Path) -> None:
    layers = work.job.inputs[mount.input] or ()
    target = os.open(directory, _DIRECTORY)
    try:
        with Root(work.store.trees.open(layers, work.cancel.is_set)) as tree:
            source = tree.open(mount.source or "/", _DIRECTORY)
            try:
                copy_open_tree(source, target)
            finally:
                os.close(source)
    except (FileNotFoundError, NotADirectoryError, UnsafePathError) as error:
        raise BuildError(
            f'the source "/{mount.source.strip("/")}" of the cache mount at {mount.target} is not a directory '
            'of its "from"'
        ) from error
    finally:
        os.close(target)
