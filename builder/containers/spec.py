"""The `Spec` of the sandbox of a container, made from its config."""

from pathlib import Path, PurePosixPath

from pybuild.builder.containers.catalog import StoredContainer
from pybuild.builder.containers.config import BIND, TMPFS, VOLUME, HostConfig, MountPoint, Namespaces
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.volume_options import VolumeMount, check_propagation, tmpfs_at
from pybuild.builder.containers.volumes import Places
from pybuild.builder.errors import RequestError
from pybuild.builder.execute.process_rights import with_rights
from pybuild.builder.networks.values import HOST, NONE
from pybuild.builder.request.values import Device, Rights
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.sandbox.spec import NO_SHM, Bind, FileSystem, Mount, Network, Process, Spec
from pybuild.runtime.values import replace

FILES = ("hosts", "hostname", "resolv.conf")
"""The files of the container's directory that are mounted in its /etc, unless the user mounts something else there."""

_MAKES_DEVICES = frozenset({"CAP_MKNOD", "ALL"})
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a mount point


def spec_of(container: StoredContainer, root: Root, volumes: Places) -> Spec:
    """Return the description of the sandbox of *container*.

    Raises:
        ContainerError: this process cannot give a capability that the config demands.
    """
    program, around = container.config.program, container.config.host
    mounts = tuple(mount_of(each, volumes) for each in around.mounts)
    made = Spec(
        root=root,
        process=Process(
            args=program.args,
            env=container.config.environment(),
            cwd=program.working_dir or "/",
            user=program.user,
            oom_score_adj=around.namespaces.oom_score_adj,
        ),
        mounts=(*_files(container, around), *_shared_memory(around), *mounts),
        network=Network(around.network) if around.network in {HOST, NONE} else Network.GIVEN,
        hostname=program.hostname,
        hosts=around.networking.hosts,
        limits=replace(around.limits, shm_size=NO_SHM) if around.namespaces.ipc == "none" else around.limits,
        insecure=around.privileged,
        read_only=around.read_only,
        shared=around.namespaces.shared,
        sysctls=_sysctls(around.namespaces),
        init=around.init,
        interactive=program.open_stdin and not program.tty,
        terminal=program.tty,
    )
    try:
        return with_rights(made, _confinement(around))
    except RequestError as error:
        raise ContainerError(str(error)) from error


def _confinement(around: HostConfig) -> Rights:
    return Rights(
        cap_add=around.cap_add,
        cap_drop=(*around.cap_drop, *_unsafe_capabilities(around)),
        groups=around.group_add,
        devices=tuple(Device(host_path=Path(host), target=PurePosixPath(target)) for host, target in around.devices),
        seccomp=around.seccomp,
        env=around.device_env,
        no_new_privileges=around.no_new_privileges,
    )


def _unsafe_capabilities(around: HostConfig) -> tuple[str, ...]:
    """Return capabilities that are not safe here, unless they are asked for.

    Our binds are nodev, so device nodes that a process makes cannot be opened. What the host mounts below one later is
    not.
    """
    propagated = any(each.propagation for each in around.mounts)
    asked = around.privileged or not _MAKES_DEVICES.isdisjoint(around.cap_add)
    return ("CAP_MKNOD",) if propagated and not asked else ()


def _sysctls(given: Namespaces) -> tuple[tuple[str, str], ...]:
    # As a parameter, because a sandbox has those already.
    domain = (("kernel.domainname", given.domainname),) if given.domainname else ()
    return (*domain, *given.sysctls)


def _shared_memory(around: HostConfig) -> tuple[Mount, ...]:
    """Return the mount of the host's /dev/shm for a container that shares the IPC namespace of the host."""
    taken = any(each.target == _SHARED_MEMORY for each in around.mounts)
    if taken or "ipc" not in around.namespaces.shared:
        return ()
    return (Bind(host_path=Path(_SHARED_MEMORY), target=PurePosixPath(_SHARED_MEMORY), read_only=False),)


def _files(container: StoredContainer, around: HostConfig) -> tuple[Mount, ...]:
    # A container that shares the network of another one has the hosts and name servers of that, too.
    owner = around.shares_with
    directory = container.directory.with_name(owner) if owner else container.directory
    taken = {each.target for each in around.mounts}
    return tuple(
        Bind(host_path=directory / name, target=PurePosixPath("/etc", name), read_only=around.read_only)
        for name in FILES
        if f"/etc/{name}" not in taken
    )


def mount_of(each: MountPoint, volumes: Places) -> Mount:
    """Return a mount of a container for its sandbox. Raises ContainerError."""
    target = PurePosixPath(each.target)
    place = volumes[each.name] if each.kind == VOLUME else Path(each.source)
    if isinstance(place, MountPoint):  # a volume that is a tmpfs
        return tmpfs_at(target, place, read_only=each.read_only or place.read_only)
    if isinstance(place, VolumeMount):
        return FileSystem(
            kind=place.kind, source=place.device, options=place.options, target=target, read_only=each.read_only
        )
    if each.kind == TMPFS:
        return tmpfs_at(target, each, read_only=each.read_only)
    if each.kind not in {BIND, VOLUME}:
        raise ValueError(each.kind)
    if each.propagation:
        check_propagation(place, each.propagation)
    return Bind(
        host_path=place,
        target=target,
        read_only=each.read_only,
        recursive=each.recursive,
        propagation=each.propagation,
    )
