"""Where the files of containers are accessed: in this process for root, else in the user namespace of the containers.

Root of one user namespace has no rights in a sibling. So all containers of a store run in one user namespace. The first
container creates it, the others join it, and it ends with the last one: the kernel keeps it as long as a monitor is in
it. Commands stay outside of it. A worker that joins it does what needs root (`runtime.worker`).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.names import is_id
from pybuild.builder.containers.state import is_watched
from pybuild.builder.progress import silent
from pybuild.builder.store.container_holds import CONTAINERS
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, WorkerAccess
from pybuild.runtime.errors import RuntimeHostError, SandboxUnavailable
from pybuild.runtime.monitor.starting import NoMonitor, namespace_of
from pybuild.runtime.paths.filelock import remove_tree
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.joining import identity
from pybuild.runtime.snapshots.changes import overlay_xattr_prefix
from pybuild.runtime.snapshots.id_map import id_map, is_host_map

_LOCK = "namespace of containers"
_P = ParamSpec("_P")
_T = TypeVar("_T")


def need_sandbox() -> None:
    """Raise SandboxUnavailable when it is known without a trial that this user cannot have containers."""
    wanted = isolation.wanted()
    if os.geteuid() != 0:
        isolation.check_namespace()
        allowed = {isolation.AUTO, isolation.STRICT, isolation.USERNS}
    else:
        allowed = {isolation.AUTO, isolation.ROOT}
    if wanted not in allowed:
        raise SandboxUnavailable(f"containers have no isolation {wanted!r} yet", "leave out --isolation")
    if os.geteuid() == 0 and not isolation.may_mount():
        raise SandboxUnavailable("containers of root need CAP_SYS_ADMIN, for now", isolation.IN_CONTAINER)


def call_in_containers(
    function: Callable[Concatenate[Store, SendEvent, _P], _T],
    store: Store,
    *arguments: _P.args,
    **options: _P.kwargs,
) -> _T:
    """Return ``function(store, send_event, *arguments)``, called where the files of containers are accessible.

    That may be another process, so *function* is at the top of a module, and its arguments and result can be pickled.
    """
    with container_access(store) as access:
        return access.call(function, *arguments, **options)


@contextmanager
def container_access(store: Store, descriptors: tuple[int, ...] = ()) -> Iterator[WorkerAccess]:
    """Yield what calls functions like `call_in_containers`, for those that use open *descriptors*."""
    with _running(store.root) as namespace:
        yield WorkerAccess(store, silent, descriptors, namespace)


@contextmanager
def shared_namespace(store: Store) -> Iterator[int]:
    """Yield a descriptor of the user namespace to start a container in; -1 when it must be created, and for root.

    A lock is held while the block runs, which ends when the new monitor listens, so that nobody creates a second one.
    """
    if isolation.is_direct():
        yield -1
        return

    def waiting() -> None:
        store.tell("waiting for the first container of this store to start")

    with store.locks.shared(_LOCK, waiting=waiting), _running(store.root) as found:
        if found >= 0:
            yield found
            return
    with store.locks.exclusive(_LOCK, waiting=waiting), _running(store.root) as found:
        yield found


@contextmanager
def _running(root: Path) -> Iterator[int]:
    """Yield a descriptor of the user namespace in which containers of the store at *root* run; -1 when none runs.

    Raises:
        SandboxUnavailable: they run in a way that differs from the isolation of this process.
    """
    found = -1 if isolation.is_direct() else _namespace(root)
    try:
        if found >= 0 and identity(found) == identity():
            raise SandboxUnavailable("containers of this store run under another isolation", "stop them first")
        yield found
    finally:
        if found >= 0:
            os.close(found)


def _namespace(root: Path) -> int:
    with suppress(FileNotFoundError):
        for directory in (root / CONTAINERS).iterdir():
            if is_id(directory.name) and is_watched(directory):
                try:
                    return namespace_of(directory)
                except NoMonitor:
                    continue
                except RuntimeHostError as error:
                    raise SandboxUnavailable(f"{root}: {error}", "stop them where they were started") from error
    return -1


def need_ids() -> None:
    """Raise SandboxUnavailable when this process has only one user id for the owners of files."""
    if isolation.is_single():
        why = isolation.single_id_reason()
        raise SandboxUnavailable(
            f"containers need subordinate ids, for now{why and ': '}{why}", "pybuild doctor tells how to have them"
        )


def own_ids() -> str:
    """Return the id map under which this process writes files; "" for the ids of the host."""
    found, prefix = id_map(), overlay_xattr_prefix()
    return "" if is_host_map(found) and prefix.startswith("trusted.") else found


def check_ids(identity_of: str, ids: str) -> None:
    """Raise ContainerError when the files of a container belong to another id map than that of this process."""
    need_ids()
    if ids != own_ids():
        raise ContainerError(
            f"the files of container {identity_of[:12]} belong to other ids: {ids or 'those of the host'},"
            f" and here are {own_ids() or 'those of the host'}",
            hint="restore its ranges in /etc/subuid and /etc/subgid, or make it anew",
        )


def remove_files(store: Store, directory: Path, name: str) -> None:
    """Remove *name* in *directory* with everything below it, also files of other owners."""
    try:
        _remove(directory, name)
    except PermissionError:
        if isolation.is_direct():
            raise
        call_in_containers(_remove_in_worker, store, directory, name)


def _remove_in_worker(_store: Store, _send_event: SendEvent, directory: Path, name: str) -> None:
    _remove(directory, name)


def _remove(directory: Path, name: str) -> None:
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(opened, name)
    finally:
        os.close(opened)
