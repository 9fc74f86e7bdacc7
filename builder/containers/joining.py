"""Containers whose network, PID or IPC namespace another one joins: found when that is created, opened as it starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.config import HostConfig, Namespaces
from pybuild.builder.containers.errors import ContainerError, NoSuchContainer
from pybuild.builder.networks.values import CONTAINER
from pybuild.runtime.kernel.pidfd import has_ended, number_of
from pybuild.runtime.values import replace

_DONORS = ("shareable", "host")


def with_ids(containers: Containers, host: HostConfig) -> HostConfig:
    """Return *host* with ids in place of the names of containers, which may change. Raises NoSuchContainer."""
    own = host.namespaces
    return replace(
        host,
        network=_with_id(containers, host.network),
        namespaces=replace(own, pid=_with_id(containers, own.pid), ipc=_with_id(containers, own.ipc)),
    )


def _with_id(containers: Containers, mode: str) -> str:
    name = _name(mode)
    return f"{CONTAINER}{containers.find(name).id}" if name else mode


def _name(mode: str) -> str:
    """Return the name or id in ``container:NAME``, "" for another mode."""
    return mode.removeprefix(CONTAINER) if mode.startswith(CONTAINER) else ""


def joins_of(own: Namespaces) -> tuple[str, ...]:
    """Return which namespaces of other containers are joined, apart from the network: pid, ipc, in this order."""
    return tuple(name for name, mode in (("pid", own.pid), ("ipc", own.ipc)) if _name(mode))


def shares_processes(own: Namespaces) -> bool:
    """Return whether the container has no PID namespace of its own."""
    return bool(own.pid)


@contextmanager
def opened_owners(containers: Containers, own: Namespaces) -> Iterator[tuple[int, ...]]:
    """Yield pidfds of the first processes of the containers that `joins_of` is about, in its order.

    Raises:
        ContainerError: one of them does not run, or does not share its IPC namespace.
    """
    opened: list[int] = []
    try:
        for name in joins_of(own):
            what, mode = f"{name.upper()} namespace", own.pid if name == "pid" else own.ipc
            owner = _owner(containers, _name(mode), what)
            shared = owner.config.host.namespaces.ipc
            if name == "ipc" and shared not in _DONORS and not _name(shared):
                raise ContainerError(
                    f"failed to join IPC namespace: container {owner.id}: non-shareable IPC"
                    " (hint: use IpcMode:shareable for the donor container)",
                    hint="pybuild run --ipc shareable",
                )
            opened.append(_process(owner, what))
        yield tuple(opened)
    finally:
        for fd in opened:
            os.close(fd)


def open_network(containers: Containers, identity: str) -> int:
    """Return a descriptor of the network namespace of the container *identity*. Raises ContainerError."""
    owner = _owner(containers, identity, "network")
    process = _process(owner, "network")
    try:
        space = os.open(f"/proc/{number_of(process)}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        # A process that has not ended by now had this number when its namespace was opened.
        if not has_ended(process):
            return space
        os.close(space)
    except FileNotFoundError:
        pass
    finally:
        os.close(process)
    raise _stopped(owner, "network")


def _owner(containers: Containers, identity: str, what: str) -> StoredContainer:
    try:
        return containers.find(identity)
    except NoSuchContainer as error:
        raise ContainerError(f"No such container: {identity}", hint=f"it was to share its {what}") from error


def _process(owner: StoredContainer, what: str) -> int:
    process = owner.state.open_process() if owner.state.runs else None
    if process is None:
        raise _stopped(owner, what)
    return process


def _stopped(owner: StoredContainer, what: str) -> ContainerError:
    if what == "network":
        return ContainerError(f"cannot join network of a non running container: {owner.id}")
    return ContainerError(f"failed to join {what}: container {owner.id} is not running")
