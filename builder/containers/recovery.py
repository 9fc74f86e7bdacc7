"""Settling a container whose monitor is gone: what the monitor left is ended, and the end is recorded."""

import fcntl
import os
import select
import time
from contextlib import suppress
from pathlib import Path

from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.state import MONITOR, State, is_watched, write_state
from pybuild.builder.networks.membership import is_live
from pybuild.runtime.kernel.pidfd import send_signal
from pybuild.runtime.monitor import groups
from pybuild.runtime.monitor.state import timestamp
from pybuild.runtime.sandbox.lasting_groups import group_directories
from pybuild.runtime.values import replace

GROUPS = "/pybuild"
"""The control group below which those of containers are made."""
_SIGKILL = 9
_PATIENCE, _PAUSE = 10.0, 0.005


def groups_parent(container: StoredContainer) -> str:
    """Return the control group below which those of *container* are made."""
    return container.config.host.limits.cgroup_parent or GROUPS


def take_over(directory: Path) -> int:
    """Take the lock of the monitor and return its descriptor. A monitor that is about to end is waited for.

    Raises:
        ContainerError: the monitor still has the lock after ten seconds.
    """
    lock = os.open(directory / MONITOR, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise ContainerError("the container is being stopped", hint="try again") from None
            time.sleep(_PAUSE)
        else:
            return lock


def settle(container: StoredContainer) -> State:
    """Return the state of a container; if its monitor is gone, first end and record what the monitor left.

    The caller holds the lock of the container.
    """
    state = container.state
    if not state.lost:
        if is_live(container.directory) and not is_watched(container.directory):
            leave_networks(container)
        return state
    process = state.open_process()
    if process is not None:
        with suppress(ProcessLookupError):
            send_signal(process, _SIGKILL)
        _await_end(process, _PATIENCE)
        os.close(process)
    clear_groups(container)
    ended = replace(state, pid=0, start_time=0, finished=timestamp(time.time_ns()), lost=False)
    write_state(container.directory, ended)
    container.log_event("die", exitCode=f"{ended.exit_code}")
    leave_networks(container)
    return ended


def leave_networks(container: StoredContainer) -> None:
    """Take down the networks of a container that has no processes."""
    if not is_live(container.directory):
        return
    # Imported here because most containers have no networks of their own.
    from pybuild.builder.networks.connecting import disconnect_all

    disconnect_all(container.directory.parents[1], container.directory)


def clear_groups(container: StoredContainer) -> None:
    """Kill all processes in the control groups of a container without a monitor, and remove the groups."""
    made = tuple(map(os.fsencode, group_directories(container.id, groups_parent(container))))
    if made:
        groups.freeze(made, frozen=False)
        groups.kill_all(made)
        groups.remove(made)


def _await_end(pidfd: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))
