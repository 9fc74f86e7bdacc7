"""The two parts of an `Execution` that reach a step: its settings, and what it gets from this host.

`StepSettings` is plain data and means the same on every machine, so it is part of a `builder.execute.job.Job`.
`HostInputs` names files, sockets and devices that only this host has, so it stays with the process that executes the
step.
"""

from pathlib import Path

from pybuild.builder.request import Execution
from pybuild.builder.request.values import Compression, Device, Resources, Rights, Secret, Volume
from pybuild.runtime.values import fields, frozen, replace


@frozen
class StepSettings:
    """How a step is executed, without anything of a host. The fields are those of `Execution` and `Rights`."""

    compression: Compression = Compression()
    source_date_epoch: int | None = None
    resources: Resources = Resources()
    """Without *cgroup_parent*, which is in `HostInputs`."""
    resolv_conf: str = ""
    step_timeout: float | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    seccomp: str | None = None
    no_new_privileges: bool = False


@frozen
class HostInputs:
    """What steps get from the host that executes them. Nothing of it is part of a key or of a layer."""

    secrets: tuple[Secret, ...] = ()
    ssh: tuple[tuple[str, Path], ...] = ()
    """(id, socket of an agent)."""
    volumes: tuple[Volume, ...] = ()
    cgroup_parent: str = ""
    devices: tuple[Device, ...] = ()
    device_env: tuple[tuple[str, str], ...] = ()
    device_volumes: tuple[Volume, ...] = ()


def step_settings(execution: Execution) -> StepSettings:
    """Return the part of *execution* that is the same on every machine."""
    sources = (execution.rights, execution)
    values = {each.name: getattr(part, each.name) for part in sources for each in fields(part)}
    values["resources"] = replace(execution.resources, cgroup_parent="")
    return StepSettings(**{each.name: values[each.name] for each in fields(StepSettings)})


def host_inputs(execution: Execution) -> HostInputs:
    """Return the part of *execution* that names files, sockets and devices of this host."""
    rights = execution.rights
    return HostInputs(
        secrets=execution.secrets,
        ssh=execution.ssh,
        volumes=execution.volumes,
        cgroup_parent=execution.resources.cgroup_parent,
        devices=rights.devices,
        device_env=rights.env,
        device_volumes=rights.volumes,
    )


def rights_of(settings: StepSettings, host: HostInputs) -> Rights:
    """Return the rights of a RUN, put together again from both parts."""
    return Rights(
        cap_add=settings.cap_add,
        cap_drop=settings.cap_drop,
        groups=settings.groups,
        seccomp=settings.seccomp,
        no_new_privileges=settings.no_new_privileges,
        devices=host.devices,
        env=host.device_env,
        volumes=host.device_volumes,
    )
