"""The rights of the process of a sandbox, as the command line asks for them."""

from collections.abc import Iterable

from pybuild.builder.errors import RequestError
from pybuild.builder.request.capabilities import capabilities
from pybuild.builder.request.values import Rights, Volume
from pybuild.runtime.kernel.syscalls import capget
from pybuild.runtime.sandbox.spec import Bind, DeviceNode, Spec
from pybuild.runtime.values import replace


def with_rights(spec: Spec, rights: Rights) -> Spec:
    """Return *spec* with the capabilities, devices, groups, volumes and seccomp profile of *rights*.

    Raises:
        RequestError: a capability that this process does not have, or an invalid seccomp profile.
    """
    if rights == Rights():
        return spec
    held = capabilities(rights.cap_add, rights.cap_drop, capget()[1])
    nodes = tuple(DeviceNode(host_path=each.host_path, target=each.target) for each in rights.devices)
    process = replace(spec.process, groups=(*spec.process.groups, *rights.groups), env=(*rights.env, *spec.process.env))
    return replace(
        spec,
        process=process,
        mounts=(*spec.mounts, *binds(rights.volumes), *nodes),
        capabilities=held,
        seccomp=program_of(rights.seccomp, held),
        no_new_privileges=rights.no_new_privileges,
    )


def binds(volumes: Iterable[Volume]) -> tuple[Bind, ...]:
    """Return the mounts of a sandbox that show *volumes*."""
    return tuple(Bind(host_path=each.host_path, target=each.target, read_only=each.read_only) for each in volumes)


def program_of(profile: str | None, held: int) -> bytes | None:
    """Compile the seccomp *profile* for a process with the capabilities *held*, and return the BPF program.

    None, for the default filter, and "", for no filter, become None and no bytes: `Spec.seccomp`.

    Raises:
        RequestError: the profile is invalid.
    """
    if not profile:
        return None if profile is None else b""
    from pybuild.runtime.sandbox.seccomp_profile import InvalidProfile, parse_profile
    from pybuild.runtime.sandbox.seccomp_rules import compile_profile

    try:
        return compile_profile(parse_profile(profile), held)
    except InvalidProfile as error:
        raise RequestError(f"invalid seccomp profile: {error}") from error
