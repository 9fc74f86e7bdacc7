"""A container as a document in the format of ``docker inspect``."""

from typing import Any

from pybuild.builder.containers.catalog import ROOTFS, StoredContainer
from pybuild.builder.containers.config import BIND, VOLUME, Config, HostConfig, MountPoint
from pybuild.builder.containers.state import State
from pybuild.builder.networks.document import bindings_document, settings_document
from pybuild.builder.networks.membership import read_attached, read_live
from pybuild.builder.oci.image_config import healthcheck_json
from pybuild.runtime.monitor.log import LOG
from pybuild.runtime.sandbox.spec import ResourceLimits
from pybuild.runtime.snapshots.copy_mark import is_copy

_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_MASKED = ("asound", "acpi", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi")

_THROTTLES = {
    "read_bps": "ReadBps",
    "write_bps": "WriteBps",
    "read_iops": "ReadIOps",
    "write_iops": "WriteIOps",
}


def container_document(container: StoredContainer) -> dict[str, Any]:
    """Return the document of *container*."""
    config, state = container.config, container.state
    args = config.program.args
    place = str(container.directory)
    return {
        "Id": config.id,
        "Created": config.created,
        "Path": args[0],
        "Args": list(args[1:]),
        "State": state_document(state),
        "Image": config.image_id,
        "ResolvConfPath": f"{place}/resolv.conf",
        "HostnamePath": f"{place}/hostname",
        "HostsPath": f"{place}/hosts",
        "LogPath": f"{place}/{LOG}" if config.host.log_driver != "none" else "",
        "Name": f"/{container.name}",
        "RestartCount": state.restarts,
        "Driver": "vfs" if is_copy(container.directory / ROOTFS) else "overlay2",
        "Platform": config.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(container),
        "Mounts": [_mount(each) for each in config.host.mounts if each.kind != "tmpfs"],
        "Config": _config(config),
        "NetworkSettings": settings_document(
            config.host.network,
            read_attached(container.directory),
            read_live(container.directory),
            config.program.exposed_ports,
            runs=state.runs,
        ),
    }


def state_document(state: State) -> dict[str, Any]:
    """Return the member ``State`` of the document."""
    return {
        "Status": state.status,
        "Running": state.status in {"running", "paused", "restarting"},
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started,
        "FinishedAt": state.finished,
        **({} if state.health is None else {"Health": state.health}),
    }


def _config(config: Config) -> dict[str, Any]:
    program = config.program
    return {
        "Hostname": program.hostname,
        "Domainname": config.host.namespaces.domainname,
        "User": program.user,
        **{f"Attach{name.title()}": name in program.attached for name in ("stdin", "stdout", "stderr")},
        **({"ExposedPorts": {port: {} for port in program.exposed_ports}} if program.exposed_ports else {}),
        "Tty": program.tty,
        "OpenStdin": program.open_stdin,
        "StdinOnce": program.stdin_once,
        "Env": list(program.env),
        "Cmd": _list(program.cmd),
        **({"Healthcheck": healthcheck_json(program.healthcheck)} if program.healthcheck else {}),
        "Image": config.image,
        "Volumes": {path: {} for path in program.volumes} or None,
        "WorkingDir": program.working_dir,
        "Entrypoint": _list(program.entrypoint),
        "Labels": dict(sorted(program.labels)),
        **({"StopSignal": program.stop_signal} if program.stop_signal else {}),
        **({"Shell": list(program.shell)} if program.shell else {}),
        **({"StopTimeout": program.stop_timeout} if program.stop_timeout is not None else {}),
    }


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _host_config(container: StoredContainer) -> dict[str, Any]:
    around, own = container.config.host, container.config.host.namespaces
    return {
        "Binds": list(around.binds) or None,
        "ContainerIDFile": container.config.id_file,
        "LogConfig": {"Type": around.log_driver, "Config": dict(around.log_options)},
        "NetworkMode": around.network,
        "PortBindings": bindings_document(around.networking),
        "RestartPolicy": {"Name": around.restart, "MaximumRetryCount": around.restart_most},
        "AutoRemove": around.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": list(around.volumes_from) or None,
        "CapAdd": list(around.cap_add) or None,
        "CapDrop": list(around.cap_drop) or None,
        "CgroupnsMode": "host" if "cgroup" in own.shared else "private",
        "Dns": list(around.networking.dns),
        "DnsOptions": list(around.networking.dns_options),
        "DnsSearch": list(around.networking.dns_search),
        "ExtraHosts": [f"{name}:{address}" for name, address in around.networking.hosts] or None,
        "GroupAdd": list(around.group_add) or None,
        "IpcMode": own.ipc,
        "Cgroup": "",
        "Links": [f"/{name}:/{container.name}/{alias}" for name, alias in around.networking.links] or None,
        "OomScoreAdj": own.oom_score_adj,
        "PidMode": own.pid,
        "Privileged": around.privileged,
        "PublishAllPorts": around.networking.publish_all,
        "ReadonlyRootfs": around.read_only,
        "SecurityOpt": _security(around),
        **({"Tmpfs": _tmpfs(around.mounts)} if _tmpfs(around.mounts) else {}),
        "UTSMode": "host" if "uts" in own.shared else "",
        "UsernsMode": own.userns,
        "ShmSize": around.limits.shm_size,
        "Runtime": "runc",
        "Isolation": "",
        **_resources(around.limits),
        "Devices": [
            {"PathOnHost": host, "PathInContainer": target, "CgroupPermissions": "rwm"}
            for host, target in around.devices
        ],
        **({"Init": True} if around.init else {}),
        **({"Sysctls": dict(own.sysctls)} if own.sysctls else {}),
        **({"Annotations": dict(container.config.annotations)} if container.config.annotations else {}),
        "MaskedPaths": None if around.privileged else [f"/proc/{name}" for name in _MASKED] + ["/sys/firmware"],
        "ReadonlyPaths": None if around.privileged else [f"/proc/{name}" for name in _READ_ONLY],
    }


def _security(around: HostConfig) -> list[str] | None:
    found = [
        *(["no-new-privileges"] if around.no_new_privileges else []),
        *([f"seccomp={around.seccomp or 'unconfined'}"] if around.seccomp is not None else []),
        *(["label=disable"] if around.privileged else []),
    ]
    return found or None


def _tmpfs(mounts: tuple[MountPoint, ...]) -> dict[str, str]:
    return {each.target: each.options for each in mounts if each.kind == "tmpfs"}


def _resources(limits: ResourceLimits) -> dict[str, Any]:
    return {
        "CpuShares": limits.cpu_shares or 0,
        "Memory": limits.memory or 0,
        "NanoCpus": limits.nano_cpus or 0,
        "CgroupParent": limits.cgroup_parent,
        "CpuPeriod": limits.cpu_period or 0,
        "CpuQuota": limits.cpu_quota or 0,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "MemorySwap": limits.memory_swap or 0,
        "OomKillDisable": limits.oom_kill_disable,
        "BlkioWeight": limits.blkio_weight or 0,
        **{
            f"BlkioDevice{shown}": [
                {"Path": path, "Rate": rate} for name, _, rate, path in limits.throttles if name == kind
            ]
            for kind, shown in _THROTTLES.items()
        },
        "MemoryReservation": limits.memory_reservation or 0,
        "MemorySwappiness": limits.swappiness,
        "PidsLimit": limits.pids,
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, soft, hard in limits.ulimits],
    }


def _mount(each: MountPoint) -> dict[str, Any]:
    volume = {"Name": each.name, "Driver": "local"} if each.kind == VOLUME else {}
    return {
        "Type": each.kind,
        **volume,
        "Source": each.source,
        "Destination": each.target,
        "Mode": "ro" if each.read_only else "",
        "RW": not each.read_only,
        "Propagation": (each.propagation or "rprivate") if each.kind == BIND else "",
    }
