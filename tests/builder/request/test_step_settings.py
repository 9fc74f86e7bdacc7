"""What of an execution is the same on every machine, and what only this host has."""

import pickle
from dataclasses import fields
from pathlib import Path, PurePosixPath

from pybuild.builder.request import Device, Execution, Resources, Rights, Secret, Volume
from pybuild.builder.request.step_settings import HostInputs, StepSettings, host_inputs, rights_of, step_settings


def everything() -> Execution:
    """An execution with something in each field that this host alone has, and in one of each other kind."""
    target, path = PurePosixPath("/t"), Path("/host")
    volume = Volume(host_path=path, target=target)
    rights = Rights(
        cap_add=("CAP_SYS_ADMIN",),
        groups=("7",),
        devices=(Device(host_path=path, target=target),),
        env=(("A", "host"),),
        volumes=(volume,),
        seccomp="",
        no_new_privileges=True,
    )
    return Execution(
        source_date_epoch=1,
        secrets=(Secret(id="s", file=path),),
        ssh=(("default", path),),
        resources=Resources(memory=6 << 20, cgroup_parent="/host"),
        volumes=(volume,),
        rights=rights,
        resolv_conf="nameserver 192.0.2.1",
        step_timeout=2.0,
    )


def test_what_only_this_host_has_is_not_in_the_settings_of_a_step() -> None:
    execution = everything()
    settings, host = step_settings(execution), host_inputs(execution)
    assert "Path(" not in repr(settings)
    assert "/host" not in repr(settings)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert (settings.source_date_epoch, settings.step_timeout, settings.resources.memory) == (1, 2.0, 6 << 20)
    assert all(getattr(host, field.name) for field in fields(HostInputs))
    assert rights_of(settings, host) == execution.rights


def test_each_field_of_an_execution_reaches_a_step_or_is_one_of_the_whole_build() -> None:
    parts = {field.name for part in (StepSettings, HostInputs) for field in fields(part)}
    given = {field.name for field in fields(Execution)} | {field.name for field in fields(Rights)}
    assert given - parts == {"jobs", "timeout", "rights", "env"}
    assert parts - given == {"cgroup_parent", "device_env", "device_volumes"}
