"""Volumes: named directories that outlive containers.

    <root>/volumes/<name>/volume.json    the time of its creation, labels and options
                          data/          the directory that is mounted in containers

A volume is removed only by ``volume rm`` and ``volume prune``; an anonymous one also by ``rm -v`` of its container.
There is one lock for all volumes. Creating a container takes it shared, from before the volumes are looked up until the
config that names them is written. Removing volumes takes it exclusively.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR

from pybuild.builder.containers import events
from pybuild.builder.containers.catalog import StoredContainer, all_containers
from pybuild.builder.containers.config import VOLUME, MountPoint
from pybuild.builder.containers.errors import ContainerError, NoSuchVolume
from pybuild.builder.containers.names import new_id
from pybuild.builder.containers.namespace import remove_files
from pybuild.builder.containers.volume_options import VolumeMount, check_options, mount_failed, place_of
from pybuild.builder.errors import RequestError
from pybuild.builder.store.free_space import storing
from pybuild.builder.store.store import Store
from pybuild.runtime.monitor.state import timestamp
from pybuild.runtime.paths.filelock import make_locked_directory, sweep
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.sandbox.inside.file_systems import open_file_system
from pybuild.runtime.snapshots.tree_copies import copy_open_tree
from pybuild.runtime.values import frozen

_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
# No name of a volume begins with a dash.
_LOCK, _TEMPORARY, _FILE, _DATA = "volumes", "-tmp-", "volume.json", "data"
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Places = Mapping[str, Path | MountPoint | VolumeMount]
"""The directory of each volume by name, or what is mounted instead."""


@frozen
class VolumeConfig:
    """The settings of a volume. An *anonymous* one was created without a name."""

    name: str
    created: str
    labels: tuple[tuple[str, str], ...] = ()
    anonymous: bool = False
    options: tuple[tuple[str, str], ...] = ()
    """The options of the driver: `volume_options.check_options`."""


class Volumes:
    """All volumes of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.directory = store.root / "volumes"

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Keep all volumes from being removed while the block creates a container."""
        with self.store.locks.shared(_LOCK):
            yield

    def data(self, name: str) -> Path:
        """Return the directory of a volume in the store."""
        return self.directory / name / _DATA

    def place(self, name: str) -> Path | MountPoint | VolumeMount:
        """Return what is mounted in containers: a directory, or what its options say instead. Raises ContainerError."""
        return place_of(name, self.data(name), dict(self.find(name).options))

    def places(self, container: StoredContainer) -> Places:
        """Return the places of the volumes of *container*. Raises ContainerError."""
        names = [each.name for each in container.config.host.mounts if each.kind == VOLUME]
        for name in names:
            if not self.data(name).is_dir():
                raise ContainerError(
                    f"the volume {name} of the container is gone", hint=f"pybuild volume create {name}"
                )
        return {name: self.place(name) for name in names}

    def add(
        self, name: str, labels: tuple[tuple[str, str], ...] = (), options: tuple[tuple[str, str], ...] = ()
    ) -> VolumeConfig:
        """Return the volume *name*, created if it is missing; "" creates an anonymous one. Raises RequestError."""
        if name and not _VALID.fullmatch(name):
            raise RequestError(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only'
                ' "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
                hint="if you intended to pass a host directory, use absolute path",
            )
        with suppress(NoSuchVolume):
            if name:
                return self.find(name)
        check_options(dict(options))
        made = VolumeConfig(name=name or new_id(), created=timestamp(time.time_ns()), labels=labels, anonymous=not name)
        with storing(self.store.root):
            self.directory.mkdir(mode=0o700, exist_ok=True)
            sweep(self.directory, _TEMPORARY)
            path, lock = make_locked_directory(self.directory, _TEMPORARY)
            try:
                (path / _DATA).mkdir()
                # Any user of a container may have to enter it, whatever the umask of this process.
                (path / _DATA).chmod(0o755)
                document = {"created": made.created, "labels": dict(labels), "anonymous": made.anonymous}
                document |= {"options": dict(options)} if options else {}
                replace_file(path / _FILE, json.dumps(document))
                with suppress(OSError):  # another process created it meanwhile
                    path.rename(self.directory / made.name)
            finally:
                os.close(lock)
                remove_files(self.store, self.directory, path.name)
        self._log("create", made.name)
        return self.find(made.name)

    def _log(self, action: str, name: str) -> None:
        events.log_event(self.store.root, events.VOLUME, action, name, {"driver": "local"})

    def find(self, name: str) -> VolumeConfig:
        """Return the volume *name*. Raises NoSuchVolume."""
        try:
            document = json.loads((self.directory / _checked(name) / _FILE).read_text(encoding="utf-8"))
            labels = tuple((str(key), str(value)) for key, value in document["labels"].items())
            options = tuple((str(key), str(value)) for key, value in document.get("options", {}).items())
            return VolumeConfig(
                name=name,
                created=document["created"],
                labels=labels,
                anonymous=bool(document["anonymous"]),
                options=options,
            )
        except (OSError, ValueError, LookupError, AttributeError):
            raise NoSuchVolume(f"get {name}: no such volume") from None

    def all(self) -> list[VolumeConfig]:
        """Return all volumes in the order of their names."""
        names: list[str] = []
        with suppress(FileNotFoundError):
            names = sorted(path.name for path in self.directory.iterdir() if _VALID.fullmatch(path.name))
        found = []
        for name in names:
            with suppress(NoSuchVolume):
                found.append(self.find(name))
        return found

    def remove(self, names: Iterable[str]) -> None:
        """Remove volumes. Raises NoSuchVolume, or ContainerError when a container uses one."""
        with self.store.locks.exclusive(_LOCK):
            users = self.users()
            for name in names:
                self.find(name)
                if name in users:
                    listed = ", ".join(users[name])
                    raise ContainerError(f"remove {name}: volume is in use - [{listed}]")
                self._retire(name)

    def prune(self, wanted: Iterable[VolumeConfig]) -> list[str]:
        """Remove those of *wanted* that no container uses, and return their names."""
        with self.store.locks.exclusive(_LOCK):
            users = self.users()
            gone = [each.name for each in wanted if each.name not in users]
            for name in gone:
                self._retire(name)
        return gone

    def _retire(self, name: str) -> None:
        grave = f"{_TEMPORARY}{os.urandom(8).hex()}"
        (self.directory / name).rename(self.directory / grave)
        remove_files(self.store, self.directory, grave)
        self._log("destroy", name)

    def drop(self, name: str) -> None:
        """Remove a volume whose container could not be created. The caller holds the shared lock (`wanted`)."""
        with suppress(FileNotFoundError):
            self._retire(name)

    def users(self) -> dict[str, list[str]]:
        """Return the ids of the containers that use each volume, by its name."""
        found: dict[str, list[str]] = {}
        for container in all_containers(self.store.root):
            for each in container.config.host.mounts:
                if each.kind == VOLUME:
                    found.setdefault(each.name, []).append(container.id)
        return found

    def fill(self, each: MountPoint, image: int) -> None:
        """If the volume of a mount is empty, copy into it what the open tree *image* has at the target.

        The owner and mode of the directory are copied, too.
        """
        if each.read_only or not each.copies:
            return
        place = self.place(each.name)
        if isinstance(place, MountPoint):
            return
        target = os.open(place, _READ) if isinstance(place, Path) else _open_mount(each.name, place)
        try:
            with Root(os.dup(image)) as root:
                source = root.open(each.target.lstrip("/"))
            try:
                if S_ISDIR(os.fstat(source).st_mode) and not os.listdir(target):
                    copy_open_tree(source, target)
            finally:
                os.close(source)
        except (FileNotFoundError, NotADirectoryError):
            return
        finally:
            os.close(target)

    def anonymous_of(self, container: StoredContainer) -> list[str]:
        """Return the names of the anonymous volumes of *container*."""
        return [each.name for each in container.config.host.mounts if each.kind == VOLUME and each.anonymous]


def _open_mount(name: str, mount: VolumeMount) -> int:
    """Return the root directory of *mount*, which is unmounted with the descriptor."""
    options = tuple(map(os.fsencode, mount.options))
    try:
        tree = open_file_system(os.fsencode(mount.kind), options, os.fsencode(mount.device))
    except OSError as error:
        raise mount_failed(name, mount, error.strerror or "") from error
    try:
        return os.open(".", _READ, dir_fd=tree)
    finally:
        os.close(tree)


def _checked(name: str) -> str:
    """Return *name*, which becomes a part of a path. Raises ValueError."""
    if not _VALID.fullmatch(name):
        raise ValueError(name)
    return name
