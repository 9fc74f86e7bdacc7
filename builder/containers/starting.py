"""Starting a container: describing its sandbox, and starting a monitor that outlives this process."""

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pybuild.builder.containers.catalog import ROOTFS, Containers, StoredContainer, locked
from pybuild.builder.containers.errors import ContainerError, NotStarted
from pybuild.builder.containers.events import actor
from pybuild.builder.containers.executing import health_order
from pybuild.builder.containers.joining import joins_of, opened_owners, shares_processes
from pybuild.builder.containers.namespace import check_ids, shared_namespace
from pybuild.builder.containers.networking import join, own_network
from pybuild.builder.containers.recovery import groups_parent, leave_networks, settle, take_over
from pybuild.builder.containers.spec import spec_of
from pybuild.builder.containers.state import State, write_state
from pybuild.builder.containers.updating import tell_missing
from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.networks.membership import is_live
from pybuild.builder.networks.values import HOST, NONE
from pybuild.builder.oci.image import read_image
from pybuild.builder.progress import silent
from pybuild.builder.store.container_holds import Hold, read_hold, write_hold
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, WorkerAccess
from pybuild.grammar.parse_go import parse_size
from pybuild.runtime.monitor.settings import (
    ContainerIdentity,
    ContainerRun,
    ContainerStreams,
    LogFiles,
    MonitorSettings,
    Restart,
)
from pybuild.runtime.monitor.starting import (
    MonitorDescriptors,
    Refused,
    await_start,
    channel_pair,
    launch_monitor,
    spawn_monitor_process,
)
from pybuild.runtime.records import encode
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.sandbox.isolation import is_direct
from pybuild.runtime.sandbox.lasting_groups import make_groups
from pybuild.runtime.sandbox.launcher import make_plan
from pybuild.runtime.values import replace

_NOT_STARTED = 128
"""The exit code of a container that could not be started, as in Docker."""
_LOCAL_FILES, _LOCAL_SIZE = 5, 20 << 20
"""The number and size in bytes of the files that the log driver ``local`` keeps, as in Docker."""


def start(containers: Containers, container: StoredContainer, messages: Sequence[bytes] = ()) -> socket.socket | None:
    """Start *container* and return the connection to its monitor; None when it runs already.

    The monitor has got the *messages*, such as a request for the output, before the process starts.

    Raises:
        NotStarted: the process cannot be executed.
        ContainerError: the container is paused.
        SandboxUnavailable: this host permits no sandbox.
    """
    with locked(container):
        state = settle(container)
        if state.status == "paused":
            raise ContainerError("cannot start a paused container, try unpause instead")
        if state.runs or state.status == "restarting":
            return None
        with shared_namespace(containers.store) as namespace:
            return _started(containers, container, state, namespace, messages)


def _started(
    containers: Containers,
    container: StoredContainer,
    state: State,
    namespace: int,
    messages: Sequence[bytes],
) -> socket.socket:
    try:
        channel = _start_monitor(containers, container, state, namespace, messages)
    except ContainerError as error:
        write_state(container.directory, replace(state, exit_code=_NOT_STARTED, error=str(error)))
        raise
    try:
        await_start(channel)
    except Refused as error:
        channel.close()
        os.close(take_over(container.directory))
        leave_networks(container)
        raise NotStarted(str(error), error.code) from error
    except BaseException:
        channel.close()
        raise
    return channel


def _start_monitor(
    containers: Containers, container: StoredContainer, state: State, namespace: int, messages: Sequence[bytes]
) -> socket.socket:
    """Start a monitor for *container* in the user namespace *namespace*, and return the connection to it."""
    # The monitor gets a copy of this descriptor: flock(2) belongs to the open file, so it is held without a gap.
    lock = take_over(container.directory)
    ours, theirs = channel_pair()
    # Now, because a container may have ended before this process goes on after its start.
    for message in messages:
        ours.send(message)
    process: socket.socket | None = None
    unless_left = ExitStack()
    try:
        owners = unless_left.enter_context(opened_owners(containers, container.config.host.namespaces))
        if is_direct():  # otherwise it has to be started in the user namespace
            process = spawn_monitor_process()
        leave_networks(container)  # after the last run, in case that its command for this was killed
        network, lifeline = unless_left.enter_context(join(containers, container))
        fds = MonitorDescriptors(
            process=None if process is None else process.fileno(),
            channel=theirs.fileno(),
            lock=lock,
            network=network,
            lifeline=lifeline,
            owners=owners,
        )
        access = WorkerAccess(containers.store, silent, fds.open, namespace)
        access.call(_watch, container, state.finished, fds)
    except BaseException:
        ours.close()
        leave_networks(container)
        raise
    finally:
        unless_left.close()
        theirs.close()
        os.close(lock)
        if process is not None:
            process.close()
    return ours


def _watch(
    store: Store, _send_event: SendEvent, container: StoredContainer, finished: str, fds: MonitorDescriptors
) -> None:
    """Start the monitor that gets *fds*. Its process has been spawned, but without root."""
    check_ids(container.id, container.config.ids)
    with own_network(Containers(store), container, rootless=fds.process is None) as take:
        order = _monitor_settings(Containers(store), container, finished)
        own = take()
        try:
            if own[0] >= 0:
                fds = replace(fds, network=own[0], lifeline=own[1])
            launch_monitor(order, fds)
        finally:
            for fd in own:
                if fd >= 0:
                    os.close(fd)


def _monitor_settings(containers: Containers, container: StoredContainer, finished: str) -> MonitorSettings:
    around, program = container.config.host, container.config.program
    spec = spec_of(container, _root(containers, container), Volumes(containers.store).places(container))
    # Made last: if something above raises, the groups would stay until the container is removed.
    made, missing = make_groups(container.id, groups_parent(container), around.limits)
    if shares_processes(around.namespaces) and not made:
        raise ContainerError(
            f"--pid {around.namespaces.pid} needs a control group, by which all processes are ended at the end",
            hint="pybuild doctor says which groups can be made here",
        )
    tell_missing(containers.store, missing)
    plan = make_plan(spec, tuple(os.fsencode(group / "cgroup.procs") for group in made))
    network = () if around.network in {HOST, NONE} else ("network",)
    return MonitorSettings(
        afterwards=_afterwards(containers, container),
        identity=_identity(containers, container, finished),
        restart=Restart(around.restart_most, around.restart.encode()),
        run=ContainerRun(
            cgroups=tuple(map(os.fsencode, made)),
            health=health_order(container),
            joins=tuple(map(str.encode, (*network, *joins_of(around.namespaces)))),
            plan=encode(plan),
        ),
        streams=ContainerStreams(
            log=log_files(around.log_driver, dict(around.log_options)),
            one_input=program.stdin_once,
        ),
    )


def _identity(containers: Containers, container: StoredContainer, finished: str) -> ContainerIdentity:
    attributes = actor(container.config, container.name)
    return ContainerIdentity(
        actor=tuple((os.fsencode(name), os.fsencode(text)) for name, text in attributes.items()),
        directory=os.fsencode(container.directory),
        finished=finished.encode(),
        store=os.fsencode(containers.store.root),
    )


def _root(containers: Containers, container: StoredContainer) -> Root:
    """Return the rootfs of the container; after a reboot the layers of its image are unpacked again."""
    store, directory = containers.store, container.directory
    with store.in_use():
        hold = read_hold(directory)
        snapshot = store.snapshot(read_image(store.blobs, hold.image)) or ""
        if snapshot != hold.snapshot:
            write_hold(directory, Hold(image=hold.image, snapshot=snapshot))
        return store.snapshots.lasting_root(directory / ROOTFS, snapshot or None)


def log_files(driver: str, options: dict[str, str]) -> LogFiles:
    """Return how much of the output a log driver keeps: the number of files, and the size of each."""
    if driver == "none":
        return LogFiles(0, 0)
    size = parse_size(options["max-size"]) if "max-size" in options else _LOCAL_SIZE if driver == "local" else 0
    return LogFiles(int(options.get("max-file", _LOCAL_FILES if driver == "local" else 1)), size)


def _afterwards(containers: Containers, container: StoredContainer) -> tuple[bytes, ...]:
    """Return the command that the monitor starts when the container has ended; () for none.

    It removes a container with ``--rm``, and takes down the networks of another one.
    """
    host = container.config.host
    if not host.auto_remove and not is_live(container.directory):
        return ()
    place = Path(__file__).parents[3]
    code = f"import sys; sys.path.insert(0, {os.fspath(place)!r}); from pybuild.builder.cli.main import main; main()"
    # Each command about containers first settles all containers, so any of them takes the networks down.
    command = ("rm", "-v", container.id) if host.auto_remove else ("ps", "-q")
    words = (sys.executable, "-c", code, "--root", os.fspath(containers.store.root), *command)
    return tuple(map(os.fsencode, words))
