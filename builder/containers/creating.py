"""Creating containers: the settings of a container are those of its image, with what the user requests instead."""

import os
import time
from contextlib import suppress

from pybuild.builder.containers.catalog import ROOTFS, Containers, StoredContainer
from pybuild.builder.containers.config import BIND, TMPFS, VOLUME, Config, HostConfig, MountPoint, Program
from pybuild.builder.containers.joining import with_ids
from pybuild.builder.containers.names import SHORT, new_id
from pybuild.builder.containers.namespace import call_in_containers, need_ids, own_ids
from pybuild.builder.containers.networking import files_at_first
from pybuild.builder.containers.volume_options import make_source
from pybuild.builder.containers.volumes import Volumes
from pybuild.builder.errors import RequestError
from pybuild.builder.execute.emulation import need_emulator
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import ContainerConfig, Healthcheck
from pybuild.builder.platforms import platform_of
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.container_holds import Hold
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.monitor.state import timestamp
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.overlay_snapshotter import open_root
from pybuild.runtime.values import field, frozen, replace


@frozen
class ContainerRequest:
    """The settings that a user requests. None, and an empty tuple or text, mean the setting of the image.

    *words* replace the command of the image. An *entrypoint* replaces its entrypoint and its command; "" means no
    entrypoint. *env* and *labels* are added to those of the image.
    """

    id: str = field(default_factory=new_id)
    image: str
    name: str = ""
    words: tuple[str, ...] = ()
    entrypoint: str | None = None
    env: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    working_dir: str = ""
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    attached: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    exposed_ports: tuple[str, ...] = ()
    id_file: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


def create(containers: Containers, image: Image, request: ContainerRequest, host: HostConfig) -> StoredContainer:
    """Create a container of *image*.

    The caller is within `Store.in_use` since before it looked up the image, so that nothing removes the image
    meanwhile.

    Raises:
        RequestError: there is no command to run, or the name is invalid.
        NoSuchContainer: a container of ``--volumes-from``, or whose network is to be shared, does not exist.
        NameInUse: another container has the name.
        SandboxUnavailable: programs of the image's platform cannot run here.
    """
    return call_in_containers(_create, containers.store, image, request, host)


def _create(store: Store, _: SendEvent, image: Image, request: ContainerRequest, host: HostConfig) -> StoredContainer:
    need_ids()
    with store.in_use():
        return _created(Containers(store), image, request, host)


def _created(containers: Containers, image: Image, request: ContainerRequest, host: HostConfig) -> StoredContainer:
    store = containers.store
    request, host = _beside(containers, request, host)
    program = program_of(image.config.config, request)
    need_emulator(platform_of(image.config), store.root / "tmp")
    layers = image_layers(image)
    snapshot = (store.times.names_of(layers) or ("",))[-1]
    volumes = Volumes(store)
    # An open tree is not removed, so it is there when the snapshot of the container is made on it.
    with volumes.wanted(), Root(store.trees.open(layers)):
        inherited = _inherited(containers, host)
        host = replace(host, mounts=_with_volumes(volumes, program, (*inherited, *host.mounts)))
        try:
            _fill(volumes, host.mounts, snapshot)
            hold = Hold(image=image.descriptor, snapshot=snapshot)
            return _added(containers, _config_of(image, request, program, host), request.name, hold)
        except BaseException:
            _drop(volumes, tuple(each for each in host.mounts if each.name not in {old.name for old in inherited}))
            raise


def _beside(containers: Containers, request: ContainerRequest, host: HostConfig) -> tuple[ContainerRequest, HostConfig]:
    """Return both, changed for namespaces of others: ids in place of names, and the host name of a shared network."""
    host = with_ids(containers, host)
    if not host.shares_with:
        return request, host
    if request.hostname:
        raise RequestError("conflicting options: hostname and the network mode")
    return replace(request, hostname=containers.find(host.shares_with).config.program.hostname), host


def _inherited(containers: Containers, host: HostConfig) -> tuple[MountPoint, ...]:
    """Return the mounts of ``--volumes-from``. For a target that two containers have, the later one counts.

    An anonymous volume stays anonymous, and is removed with the last container that has it.
    """
    found: dict[str, MountPoint] = {}
    for text in host.volumes_from:
        name, colon, mode = text.partition(":")
        if colon and mode not in {"ro", "rw"}:
            raise RequestError(f"invalid mode: {mode}", hint="write it as CONTAINER:ro")
        for each in containers.find(name).config.host.mounts:
            if each.kind != TMPFS:
                found[each.target] = replace(each, read_only=each.read_only or mode == "ro", copies=False)
    taken = {each.target for each in host.mounts}
    return tuple(each for target, each in found.items() if target not in taken)


def _with_volumes(volumes: Volumes, program: Program, mounts: tuple[MountPoint, ...]) -> tuple[MountPoint, ...]:
    """Return *mounts* and a volume for each directory for which the image wants one; volumes have their names then."""
    taken = {each.target for each in mounts}
    paths = (path.rstrip("/") for path in program.volumes)
    own = (MountPoint(kind=VOLUME, target=path) for path in paths if path not in taken)
    found = []
    for each in (*mounts, *own):
        if each.kind == VOLUME:
            name = volumes.add(each.name, each.labels, each.driver_options).name
            anonymous = each.anonymous or not each.name
            found.append(replace(each, name=name, source=str(volumes.data(name)), anonymous=anonymous))
        else:
            if each.kind == BIND:
                make_source(each)
            found.append(each)
    return tuple(found)


def _fill(volumes: Volumes, mounts: tuple[MountPoint, ...], snapshot: str) -> None:
    wanted = [each for each in mounts if each.kind == VOLUME]
    if wanted:
        tree = volumes.store.snapshots.open(snapshot or None)
        try:
            for each in wanted:
                volumes.fill(each, tree)
        finally:
            os.close(tree)


def _drop(volumes: Volumes, mounts: tuple[MountPoint, ...]) -> None:
    """Remove the anonymous volumes of a container that could not be created."""
    for each in mounts:
        if each.anonymous:
            volumes.drop(each.name)


def _config_of(image: Image, request: ContainerRequest, program: Program, host: HostConfig) -> Config:
    return Config(
        id=request.id,
        created=timestamp(time.time_ns()),
        image=request.image,
        image_id=str(image.id),
        platform=image.config.os,
        id_file=request.id_file,
        ids=own_ids(),
        annotations=request.annotations,
        program=program,
        host=host,
    )


def _added(containers: Containers, config: Config, name: str, hold: Hold) -> StoredContainer:
    container = containers.add(config, name, hold, files_at_first(containers, config))
    container.log_event("create")
    if config.program.working_dir.strip("/"):
        _make_directory(containers, container, hold.snapshot)
    return container


def _make_directory(containers: Containers, container: StoredContainer, snapshot: str) -> None:
    """Create the working directory, owned by root as in Docker, unless it exists or a mount covers it."""
    store, path = containers.store, container.config.program.working_dir.strip("/")
    if any(f"/{path}/".startswith(f"{each.target}/") for each in container.config.host.mounts):
        return
    tree = open_root(store.snapshots.lasting_root(container.directory / ROOTFS, snapshot or None), store.root / "tmp")
    # If it cannot be made, because a file is in the way, the start of the container fails and says why.
    with Root(tree) as root, suppress(RuntimeHostError, OSError):
        root.make_directories(path)


def program_of(image: ContainerConfig, request: ContainerRequest) -> Program:
    """Return the program of a container. Raises RequestError when neither the image nor the user has a command."""
    entrypoint, cmd = image.entrypoint or None, request.words or image.cmd or None
    if request.entrypoint is not None:
        # As in Docker, the image's command belongs to the image's entrypoint.
        entrypoint, cmd = (request.entrypoint,) if request.entrypoint else None, request.words or None
    program = Program(
        entrypoint=entrypoint,
        cmd=cmd,
        env=_join_environments(image.env, request.env),
        user=image.user if request.user is None else request.user,
        working_dir=request.working_dir or image.working_dir,
        hostname=request.hostname or request.id[:SHORT],
        labels=tuple({**dict(image.labels), **dict(request.labels)}.items()),
        exposed_ports=tuple(sorted({*image.exposed_ports, *request.exposed_ports})),
        volumes=image.volumes,
        tty=request.tty,
        open_stdin=request.open_stdin,
        stdin_once=request.open_stdin and "stdin" in request.attached,
        attached=request.attached,
        stop_signal=request.stop_signal or image.stop_signal,
        stop_timeout=request.stop_timeout,
        healthcheck=_joined(request.healthcheck, image.healthcheck),
        shell=image.shell or (),
    )
    if not program.args:
        raise RequestError("no command specified", hint="the image has none of its own")
    return program


def _joined(wanted: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    """Return the requested health check; what it leaves out is taken from that of the image."""
    if wanted is None or image is None:
        return wanted or image
    return Healthcheck(
        test=wanted.test or image.test,
        interval=wanted.interval or image.interval,
        timeout=wanted.timeout or image.timeout,
        start_period=wanted.start_period or image.start_period,
        start_interval=wanted.start_interval or image.start_interval,
        retries=wanted.retries or image.retries,
    )


def _join_environments(image: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Join the variables of both, the requested ones first. As in Docker, one without a value removes the image's."""
    requested = {line.partition("=")[0]: line for line in wanted}
    others = (line for line in image if line.partition("=")[0] not in requested)
    return tuple(line for line in (*requested.values(), *others) if "=" in line)
