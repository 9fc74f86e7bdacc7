"""Operations on containers: kill, stop, wait, pause, rename and remove. Each reads the true state first."""

import os
import time
from contextlib import suppress

from pybuild.builder.containers.catalog import Containers, StoredContainer, locked
from pybuild.builder.containers.errors import ContainerError, NoSuchContainer, NoSuchVolume
from pybuild.builder.containers.recovery import clear_groups, leave_networks, settle, take_over
from pybuild.builder.containers.state import ALIVE, is_watched, needs_settling
from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.networks.membership import is_live
from pybuild.builder.signals import signal_number
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import NoMonitor, ask, connected, receive

_SIGKILL = 9
_STOP_SECONDS = 10
_PATIENCE, _PAUSE = 10.0, 0.005


def take_down_networks(container: StoredContainer) -> None:
    """Take down the networks of a container if it has ended. One that was removed meanwhile is no error."""
    if is_live(container.directory) and container.state.status not in ALIVE:
        _await_release(container)
        with suppress(NoSuchContainer), locked(container):
            settle(container)


def kill(container: StoredContainer, signal: int) -> None:
    """Send a signal to a running container. Raises ContainerError when it does not run."""
    state = container.state
    if not state.runs:
        raise ContainerError(f"Container {container.id} is not running")
    container.log_event("kill", signal=f"{signal}")
    try:
        ask(container.directory, messages.STOP + str(signal).encode())
    except NoMonitor as error:
        raise ContainerError(f"Container {container.id} is not running") from error
    if signal == _SIGKILL:
        wait(container, _PATIENCE, tidies=not container.config.host.auto_remove)
        take_down_networks(container)


def stop(container: StoredContainer, signal: int, seconds: float, *, removes: bool = False) -> None:
    """Send *signal* to a container, and SIGKILL when it has not exited after *seconds*, -1 for never.

    A paused container is resumed first. A container that has exited is no error. With *removes* the caller removes the
    container, also one with ``--rm``.
    """
    tidies = removes or not container.config.host.auto_remove
    status = container.state.status
    if status not in ALIVE:
        return
    if status == "paused":
        with suppress(NoMonitor):
            ask(container.directory, messages.THAW)
    container.log_event("kill", signal=f"{signal}")
    with suppress(NoMonitor, RuntimeHostError):
        ask(container.directory, messages.STOP + str(signal).encode())
        if wait(container, seconds, tidies=tidies) is None:
            container.log_event("kill", signal=f"{_SIGKILL}")
            ask(container.directory, messages.STOP + str(_SIGKILL).encode())
            wait(container, -1, tidies=tidies)
    # The state, and the name of a container with --rm, are final only when the monitor has released its lock.
    _await_release(container)
    take_down_networks(container)


def stop_by_settings(container: StoredContainer, signal: str | None, seconds: int | None) -> None:
    """Stop a container. The defaults of *signal* and *seconds* are those of its settings, or else SIGTERM and 10."""
    program = container.config.program
    own = _STOP_SECONDS if program.stop_timeout is None else program.stop_timeout
    number = signal_number(signal or program.stop_signal or "TERM")
    if container.state.status in ALIVE:
        stop(container, number, own if seconds is None else seconds)
        container.log_event("stop")


def wait(container: StoredContainer, seconds: float = -1, *, tidies: bool = False) -> int | None:
    """Wait until a container exits, at most *seconds*, -1 for no limit; return its exit code, None if it still runs.

    With *tidies* the caller takes down the networks then, or removes the container, and the monitor starts no command
    for that.
    """
    try:
        with connected(container.directory) as channel:
            if tidies:
                channel.send(messages.TIDIES)
            channel.send(messages.WAIT)
            # After the request: the other way round, an end between the two would not be noticed.
            if container.state.status not in ALIVE:
                return container.state.exit_code
            # A timeout of zero would make the socket non-blocking, which raises another error than TimeoutError.
            channel.settimeout(max(seconds, _PAUSE) if seconds >= 0 else None)
            while said := receive(channel):
                if said[:1] == messages.ENDED:
                    return int(said[1:])
    except TimeoutError:
        return None
    except (NoMonitor, OSError):  # the monitor has ended: the state on disk has the exit code
        pass
    if not container.directory.exists():
        raise NoSuchContainer(f"No such container: {container.id}")
    with locked(container):
        return settle(container).exit_code


def _await_release(container: StoredContainer) -> None:
    deadline = time.monotonic() + _PATIENCE
    while is_watched(container.directory) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def pause(container: StoredContainer) -> None:
    """Stop all processes of a container. Raises ContainerError."""
    state = container.state
    if state.status == "paused":
        raise ContainerError(f"Container {container.id} is already paused")
    if state.status != "running":
        raise ContainerError(f"Container {container.id} is not running")
    ask(container.directory, messages.FREEZE)
    container.log_event("pause")


def unpause(container: StoredContainer) -> None:
    """Resume the processes of a paused container. Raises ContainerError."""
    if container.state.status != "paused":
        raise ContainerError(f"Container {container.id} is not paused")
    ask(container.directory, messages.THAW)
    container.log_event("unpause")


def rename(containers: Containers, container: StoredContainer, name: str) -> None:
    """Rename a container. Raises NameInUse, RequestError, or ContainerError for the name that it has."""
    containers.rename(container, name)
    renamed = containers.find(container.id)
    with suppress(NoMonitor, RuntimeHostError):
        ask(container.directory, messages.NAME + os.fsencode(renamed.name))
    renamed.log_event("rename", oldName=f"/{container.name}")


def kill_to_remove(container: StoredContainer) -> None:
    """Kill a container that is going to be removed, and take down its networks."""
    if container.state.status in ALIVE:
        stop(container, _SIGKILL, -1, removes=True)


def remove(containers: Containers, container: StoredContainer, *, force: bool = False, volumes: bool = False) -> None:
    """Remove a container; with *volumes* also its anonymous volumes.

    Raises:
        ContainerError: it runs, and *force* is false.
    """
    if force:
        kill_to_remove(container)
    with locked(container):
        state = settle(container)
        if state.status in ALIVE:
            doing = {"running": "running", "paused": "paused", "restarting": "restarting"}[state.status]
            advice = "unpause and then stop" if doing == "paused" else "stop"
            raise ContainerError(
                f'cannot remove container "/{container.name}": container is {doing}: {advice} the container before'
                " removing or force remove"
            )
        # Whoever gets the lock knows that there is no monitor any more.
        os.close(take_over(container.directory))
        # A monitor that was killed after it recorded the end has left the groups. The networks are taken down by a
        # command that the monitor starts when it ends, which may not have happened yet.
        clear_groups(container)
        leave_networks(container)
        containers.remove(container)
    container.log_event("destroy")
    if volumes:
        remove_volumes(containers, container)


def remove_volumes(containers: Containers, container: StoredContainer) -> None:
    """Remove the anonymous volumes of *container*, which was removed, except those that other containers use."""
    kept = Volumes(containers.store)
    with suppress(NoSuchVolume):
        kept.prune([kept.find(name) for name in kept.anonymous_of(container)])


def settle_all(containers: Containers) -> None:
    """Settle all containers whose monitors are gone, and remove those with ``--rm`` that have exited."""
    gone = []
    for container in containers.all():
        if needs_settling(container.directory, container.state, removed=container.config.host.auto_remove):
            with suppress(NoSuchContainer), locked(container):
                if settle(container).status == "exited" and container.config.host.auto_remove:
                    clear_groups(container)
                    containers.remove(container)
                    gone.append(container)
    for container in gone:
        container.log_event("destroy")
        remove_volumes(containers, container)
