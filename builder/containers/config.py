"""The settings of a container as immutable values, and their form on disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pybuild.builder.errors import StoreError
from pybuild.builder.networks.values import CONTAINER, Membership, Networking, PublishedPort
from pybuild.builder.oci.model import DEFAULT_PATH, Healthcheck
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.sandbox.spec import ResourceLimits
from pybuild.runtime.values import fields, frozen

_Value = TypeVar("_Value")

CONFIG = "config.json"
"""The file in the directory of a container."""
BIND, VOLUME, TMPFS = "bind", "volume", "tmpfs"


@frozen
class MountPoint:
    """A mount at *target*: a directory or file of the host, a volume, or a tmpfs.

    *name* is the name of a volume; an *anonymous* one was made for this container. *options* are those of a tmpfs as
    the user wrote them.
    """

    kind: str
    source: str = ""
    name: str = ""
    target: str
    read_only: bool = False
    anonymous: bool = False
    copies: bool = True
    """Whether an empty volume is filled with what the image has at *target*."""
    size: int = 0
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    no_exec: bool = False
    """The five fields from *size* to this one are for a tmpfs. With *no_exec* no program on it can be executed."""
    options: str = ""
    recursive: bool = True
    """Whether mounts of the host below *source* are included."""
    propagation: str = ""
    """As `sandbox.spec.Bind` has it; "" is rprivate."""
    labels: tuple[tuple[str, str], ...] = ()
    driver_options: tuple[tuple[str, str], ...] = ()
    """The labels and driver options of a volume that is created for this mount."""


@frozen
class Program:
    """The program of a container, with the field names of an image config. No entrypoint, and no command, are None."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attached: tuple[str, ...] = ()
    """The streams to which the command that created it is attached: stdin, stdout, stderr."""
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] = ()
    """The shell of the image for commands in shell form, if it names one."""

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments of the process: the entrypoint, then the command."""
        return (*(self.entrypoint or ()), *(self.cmd or ()))


@frozen
class Namespaces:
    """The namespaces that are *shared* with the host (pid, ipc, uts, cgroup), and settings for those that are not.

    *pid* and *ipc* are modes as Docker has them, such as ``host`` and ``container:ID``; *pid* is "" for an own one.
    """

    shared: tuple[str, ...] = ()
    ipc: str = "private"
    pid: str = ""
    userns: str = ""
    sysctls: tuple[tuple[str, str], ...] = ()
    domainname: str = ""
    oom_score_adj: int = 0


@frozen
class HostConfig:
    """The settings that Docker calls the host config: network, mounts, limits, rights, and what happens at the end."""

    network: str = "host"
    mounts: tuple[MountPoint, ...] = ()
    binds: tuple[str, ...] = ()
    """The arguments of ``-v``, for ``inspect``."""
    networking: Networking = Networking()
    limits: ResourceLimits = ResourceLimits()
    init: bool = False
    privileged: bool = False
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    """As `capabilities.named` returns them."""
    group_add: tuple[str, ...] = ()
    volumes_from: tuple[str, ...] = ()
    """The arguments of ``--volumes-from``. The mounts that result are among *mounts*."""
    no_new_privileges: bool = False
    seccomp: str | None = None
    """A profile in Docker's JSON, "" for no filter, None for the usual filter."""
    devices: tuple[tuple[str, str], ...] = ()
    """(node of the host, target)."""
    device_env: tuple[tuple[str, str], ...] = ()
    auto_remove: bool = False
    restart: str = "no"
    restart_most: int = 0
    log_driver: str = "json-file"
    log_options: tuple[tuple[str, str], ...] = ()
    namespaces: Namespaces = Namespaces()

    @property
    def shares_with(self) -> str:
        """The id of the container whose network is shared, "" for none."""
        return self.network.removeprefix(CONTAINER) if self.network.startswith(CONTAINER) else ""


@frozen
class Config:
    """A container, without its name, which may change. *image* is what the user called it."""

    id: str
    created: str
    image: str
    image_id: str
    platform: str = "linux"
    id_file: str = ""
    ids: str = ""
    """Whose ids the owners of its files are on the disk: see `namespace.own_ids`."""
    annotations: tuple[tuple[str, str], ...] = ()
    program: Program
    host: HostConfig

    def to_json(self) -> str:
        """Return the document that `from_json` reads."""
        return json.dumps(_plain(self), ensure_ascii=True)

    def environment(self) -> tuple[tuple[str, str], ...]:
        """Return the variables of the process: defaults, overridden by those of the image and of the user."""
        program = self.program
        given = {name: value for name, mark, value in (line.partition("=") for line in program.env) if mark}
        ours = {"PATH": given.get("PATH") or DEFAULT_PATH, "HOSTNAME": program.hostname}
        return tuple({**ours, **({"TERM": "xterm"} if program.tty else {}), **given}.items())

    def write(self, directory: Path) -> None:
        """Write it to the *directory* of its container, atomically and durably."""
        replace_file(directory / CONFIG, self.to_json())

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Read a document. Raises StoreError for one that is damaged."""
        try:
            return _value(cls, json.loads(text))
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"the config of a container is damaged: {error}") from error


_NESTED: Mapping[tuple[type, str], type] = {
    (Config, "program"): Program,
    (Config, "host"): HostConfig,
    (Program, "healthcheck"): Healthcheck,
    (HostConfig, "limits"): ResourceLimits,
    (HostConfig, "namespaces"): Namespaces,
    (HostConfig, "mounts"): MountPoint,
    (HostConfig, "networking"): Networking,
    (Networking, "attachments"): Membership,
    (Networking, "ports"): PublishedPort,
}


def _plain(value: Any) -> Any:
    if type(value) in {*_NESTED.values(), Config}:
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _value(kind: type[_Value], members: Mapping[str, Any]) -> _Value:
    """Return a value of *kind*. Unknown members, of a newer version, are ignored; missing ones have their defaults."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type] # all of them are values
    return kind(**{name: _member(kind, name, member) for name, member in members.items() if name in known})


def _member(kind: type, name: str, member: Any) -> Any:
    nested = _NESTED.get((kind, name))
    if nested is not None and isinstance(member, list):
        return tuple(_value(nested, item) for item in member)
    if nested is not None and member is not None:
        return _value(nested, member)
    return _tuples(member)


def _tuples(member: Any) -> Any:
    return tuple(map(_tuples, member)) if isinstance(member, list) else member
