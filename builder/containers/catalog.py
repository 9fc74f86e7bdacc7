"""The containers of a store on disk, and finding them by name or id.

    <root>/containers/names/<name>    a file with the id of the container of this name
    <root>/containers/<id>/
        config.json                   its settings (`config`), changed by ``update`` only
        holds.json                    the image and snapshot that it needs (`builder.store.container_holds`)
        state.json                    its state (`state`), written by its monitor while it has one
        json.log                      its output (`runtime.monitor.log`)
        rootfs/                       the files that it wrote: a lasting snapshot (`runtime.snapshots`)
        hosts hostname resolv.conf    mounted in its /etc
        lock                          locked while it is started, settled or removed
        monitor socket                locked by its monitor as long as that lives; it listens here

A container appears and disappears by one rename. What a killed process left half made or half removed is a directory
``tmp-...`` that nobody has locked; it is swept when the next one is created. The database knows no containers.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.builder.containers import events
from pybuild.builder.containers.config import CONFIG, Config
from pybuild.builder.containers.errors import ContainerError, NameInUse, NoSuchContainer
from pybuild.builder.containers.names import SHORT, check_name, is_id, random_name
from pybuild.builder.containers.state import State, read_state, write_state
from pybuild.builder.store.container_holds import CONTAINERS, Hold, write_hold
from pybuild.builder.store.free_space import storing
from pybuild.runtime.paths.filelock import exclusive, make_locked_directory, sweep
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.values import positional

if TYPE_CHECKING:  # commands that only look for a container open no store
    from pybuild.builder.store.store import Store

ROOTFS = "rootfs"
_NAMES, _LOCK, _TEMPORARY = "names", "lock", "tmp-"
_RENAMING, _TRIES = "names of containers", 10


@positional
class StoredContainer:
    """A container of a store: its settings and its name as they were when it was looked up."""

    directory: Path
    config: Config
    name: str

    @property
    def id(self) -> str:
        """Its id, 64 hexadecimal digits."""
        return self.config.id

    @property
    def state(self) -> State:
        """Its state now, read at each access."""
        return read_state(self.directory)

    def log_event(self, action: str, **attributes: str) -> None:
        """Write an event to the log of the store: *action* happened to this container now."""
        details = {**events.actor(self.config, self.name), **attributes}
        events.log_event(self.directory.parents[1], events.CONTAINER, action, self.id, details)


class Containers:
    """All containers of a store."""

    def __init__(self, store: "Store") -> None:
        self.store = store
        self.directory = store.root / CONTAINERS

    def add(self, config: Config, name: str, hold: Hold, files: dict[str, str]) -> StoredContainer:
        """Create a container with these *files* in its directory; for the name "" a random one is chosen.

        The caller is within `Store.in_use`, so that nothing removes what *hold* names.

        Raises:
            NameInUse: another container has the name.
            RequestError: the name is invalid.
        """
        wanted = check_name(name) if name else ""
        with storing(self.store.root):
            (self.directory / _NAMES).mkdir(mode=0o700, parents=True, exist_ok=True)
            sweep(self.directory, _TEMPORARY)
            path, lock = make_locked_directory(self.directory, _TEMPORARY)
            try:
                self._fill(path, config, hold, files)
                chosen = self._reserve(config.id, wanted)  # before the rename: a name alone is ignored
                path.rename(self.directory / config.id)
            except BaseException:
                self._remove_files(path.name)
                self._forget(config.id)
                raise
            finally:
                os.close(lock)
        return StoredContainer(self.directory / config.id, config, chosen)

    def _fill(self, path: Path, config: Config, hold: Hold, files: dict[str, str]) -> None:
        (path / ROOTFS).mkdir(mode=0o700)
        self.store.snapshots.make_lasting(path / ROOTFS, hold.snapshot or None)
        write_hold(path, hold)
        for name, text in files.items():
            (path / name).write_text(text, encoding="utf-8")
            (path / name).chmod(0o644)
        config.write(path)
        write_state(path, State(), sync=False)  # there must be a file to overwrite if the disk is full at its end

    def _reserve(self, identity: str, wanted: str) -> str:
        """Reserve the *wanted* name, or a random one that is free, and return it."""
        with self.store.locks.exclusive(_RENAMING):
            names = _owners(self.directory)
            random = [] if wanted else [random_name() for _ in range(_TRIES)]
            tries = [*random, f"{random[0]}_{identity[:SHORT]}"] if random else [wanted]
            free = next((name for name in tries if name not in names), "")
            if not free:
                raise self._taken(wanted, names[wanted])
            self._write_name(free, identity)
        return free

    def _taken(self, name: str, owner: str) -> NameInUse:
        return NameInUse(
            f'Conflict. The container name "/{name}" is already in use by container "{owner}".'
            " You have to remove (or rename) that container to be able to reuse that name."
        )

    def _write_name(self, name: str, identity: str) -> None:
        new = self.directory / _NAMES / f"-{identity}"  # no valid name begins with a dash
        replace_file(new, identity)
        new.rename(self.directory / _NAMES / name)

    def _forget(self, identity: str) -> None:
        """Remove all names of a container."""
        with self.store.locks.exclusive(_RENAMING), suppress(FileNotFoundError):
            for path in (self.directory / _NAMES).iterdir():
                with suppress(FileNotFoundError):
                    if path.read_text(encoding="ascii", errors="replace") == identity:
                        path.unlink()

    def rename(self, container: StoredContainer, name: str) -> None:
        """Rename *container*. Raises NameInUse or RequestError."""
        wanted = check_name(name)
        with self.store.locks.exclusive(_RENAMING):
            owner = _owners(self.directory).get(wanted)
            if owner is not None:
                if owner == container.id:
                    raise ContainerError("Renaming a container with the same name as its current name")
                raise self._taken(wanted, owner)
            self._write_name(wanted, container.id)  # first, so that a kill leaves no container without a name
            for path in (self.directory / _NAMES).iterdir():
                if path.name != wanted and path.read_text(encoding="ascii", errors="replace") == container.id:
                    path.unlink()

    def all(self) -> list[StoredContainer]:
        """Return all containers, the newest first."""
        return all_containers(self.store.root)

    def find(self, text: str) -> StoredContainer:
        """Return the container with this id, name, or unique start of an id. Raises NoSuchContainer."""
        return find(self.store.root, text)

    def remove(self, container: StoredContainer) -> None:
        """Remove a container that does not run. The caller has its lock."""
        path = container.directory
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # A sweep removes temporary directories that are not locked, so this one is locked before it becomes one.
            fcntl.flock(lock, fcntl.LOCK_EX)
            grave = f"{_TEMPORARY}{os.urandom(8).hex()}"
            path.rename(self.directory / grave)
            self._forget(container.id)
            self._remove_files(grave)
        finally:
            os.close(lock)

    def _remove_files(self, name: str) -> None:
        from pybuild.builder.containers.namespace import remove_files

        remove_files(self.store, self.directory, name)


def find(root: Path, text: str) -> StoredContainer:
    """Return the container of the store at *root* with this id, name, or start of an id. Raises NoSuchContainer."""
    directory = root / CONTAINERS
    owners = _owners(directory)
    found = [text] if is_id(text) else [owners[text.removeprefix("/")]] if text.removeprefix("/") in owners else []
    if not found and text and directory.is_dir():
        found = [path.name for path in directory.iterdir() if is_id(path.name) and path.name.startswith(text)]
    if len(found) > 1:
        raise NoSuchContainer(f"Multiple IDs found with provided prefix: {text}")
    container = _read(directory / found[0], {identity: name for name, identity in owners.items()}) if found else None
    if container is None:
        raise NoSuchContainer(f"No such container: {text}")
    return container


def lookup(store: "Store", text: str) -> StoredContainer | None:
    """Return the container that *text* names; None when there is none, and for the name of an image."""
    with suppress(NoSuchContainer):
        return find(store.root, text)
    return None


@contextmanager
def locked(container: StoredContainer) -> Iterator[None]:
    """Hold the lock of *container* while the block runs, against others that start, settle or remove it.

    Raises:
        NoSuchContainer: it was removed meanwhile.
    """
    try:
        with exclusive(container.directory / _LOCK):
            os.stat(container.directory / CONFIG)
            yield
    except FileNotFoundError as error:
        if container.directory.is_dir():
            raise
        raise NoSuchContainer(f"No such container: {container.id}") from error


def all_containers(root: Path) -> list[StoredContainer]:
    """Return all containers of the store at *root*, the newest first."""
    directory = root / CONTAINERS
    names = {identity: name for name, identity in sorted(_owners(directory).items(), reverse=True)}
    with suppress(FileNotFoundError):
        found = [_read(path, names) for path in directory.iterdir() if is_id(path.name)]
        return sorted(filter(None, found), key=lambda each: each.config.created, reverse=True)
    return []


def _read(directory: Path, names: dict[str, str]) -> StoredContainer | None:
    try:
        text = (directory / CONFIG).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):  # it is being removed
        return None
    return StoredContainer(directory, Config.from_json(text), names.get(directory.name, directory.name[:SHORT]))


def _owners(directory: Path) -> dict[str, str]:
    """Return the id of each name. Names whose container does not exist, left by a killed process, are left out."""
    found: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for path in (directory / _NAMES).iterdir():
            with suppress(FileNotFoundError):
                identity = path.read_text(encoding="ascii", errors="replace")
                if is_id(identity) and (directory / identity).is_dir() and not path.name.startswith("-"):
                    found[path.name] = identity
    return found
