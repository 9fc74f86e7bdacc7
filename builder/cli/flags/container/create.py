"""Flags of ``create``, and of ``run`` when it makes a container. Raises RequestError."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.builder.cli.flags.build_values import env_lines, lines_of, variables
from pybuild.builder.cli.flags.container.health import HealthFlags
from pybuild.builder.cli.flags.container.limits import ContainerLimitFlags
from pybuild.builder.cli.flags.container.log_options import log_options
from pybuild.builder.cli.flags.container.mounts import binds, mount_points
from pybuild.builder.cli.flags.container.namespaces import NamespaceFlags
from pybuild.builder.cli.flags.container.network import NetworkFlags
from pybuild.builder.cli.flags.container.rights import RightsFlags
from pybuild.builder.cli.flags.group import option, part
from pybuild.builder.containers.config import BIND, HostConfig, MountPoint
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.values import HOST
from pybuild.builder.options import whole_number
from pybuild.builder.request import Volume
from pybuild.builder.signals import signal_number
from pybuild.runtime.values import frozen

if TYPE_CHECKING:
    # Imported for types only: `run` without a container does not need the modules about containers.
    from pybuild.builder.containers.creating import ContainerRequest

_POLICIES = ("no", "on-failure", "always", "unless-stopped")
PULLING = ("always", "missing", "never")
_DRIVERS = ("json-file", "local", "none")


@frozen
class ProgramFlags:
    """The program of a container."""

    variables: tuple[str, ...] = option(
        "-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set an environment variable; repeatable."
    )
    env_files: tuple[Path, ...] = option(
        "--env-file", multiple=True, file=True, metavar="FILE", help="Read variables from FILE; repeatable."
    )
    workdir: str | None = option("-w", "--workdir", metavar="DIR", help="Working directory in the container.")
    user: str | None = option("-u", "--user", metavar="USER[:GROUP]", help="Name or UID, and group, to run as.")
    entrypoint: str | None = option(
        "--entrypoint", empty=True, metavar="PROGRAM", help="Replace the entrypoint of the image; empty for none."
    )
    labels: tuple[str, ...] = option(
        "-l", "--label", multiple=True, metavar="KEY[=VALUE]", help="Set a label of the container; repeatable."
    )
    label_files: tuple[Path, ...] = option(
        "--label-file", multiple=True, file=True, metavar="FILE", help="Read labels from FILE; repeatable."
    )
    hostname: str | None = option("-h", "--hostname", metavar="NAME", help="Host name of the container.")
    stop_signal: str | None = option("--stop-signal", metavar="SIGNAL", help="Signal that stops the container.")
    stop_timeout: int | None = option(
        "--stop-timeout",
        type=int,
        metavar="SECONDS",
        help="Seconds to wait before killing a stopped container (default: 10; -1: no limit).",
    )
    health: HealthFlags = part(HealthFlags)
    interactive: bool = option("-i", "--interactive", is_flag=True, help="Keep standard input open.")
    tty: bool = option("-t", "--tty", is_flag=True, help="Allocate a pseudo-terminal.")


@frozen
class AroundFlags:
    """The settings that Docker keeps in its host config."""

    volumes: tuple[str, ...] = option(
        "-v", "--volume", multiple=True, metavar="[SOURCE:]TARGET[:ro]", help="Mount a volume or a path; repeatable."
    )
    mounts: tuple[str, ...] = option(
        "--mount",
        multiple=True,
        metavar="type=...,source=...,target=...",
        help="Add a mount: type is bind, volume or tmpfs. Repeatable.",
    )
    tmpfs: tuple[str, ...] = option("--tmpfs", multiple=True, metavar="TARGET[:OPTIONS]", help="Mount an empty tmpfs.")
    init: bool = option(
        "--init", is_flag=True, help="Run an init as process 1; it forwards signals and reaps processes."
    )
    privileged: bool = option(
        "--privileged", is_flag=True, help="Give the container all capabilities and devices, and no system-call filter."
    )
    volumes_from: tuple[str, ...] = option(
        "--volumes-from",
        multiple=True,
        metavar="CONTAINER[:ro]",
        help="Mount the volumes of another container; repeatable.",
    )
    rm: bool = option("--rm", is_flag=True, help="Remove the container and its anonymous volumes when it exits.")
    restart: str | None = option(
        "--restart", metavar="POLICY", help="Restart policy: no (default), on-failure[:MAX], always or unless-stopped."
    )
    log_driver: str | None = option("--log-driver", one_of=_DRIVERS, help="Logging driver of the container.")
    log_opts: tuple[str, ...] = option(
        "--log-opt", multiple=True, metavar="KEY=VALUE", help="Option of the logging driver: max-size or max-file."
    )
    annotations: tuple[str, ...] = option(
        "--annotation", multiple=True, metavar="KEY=VALUE", help="Add an annotation to the container; repeatable."
    )
    cidfile: Path | None = option("--cidfile", file=True, metavar="FILE", help="Write the container ID to FILE.")


@frozen
class ContainerFlags:
    """All flags of ``create``, but for ``--platform``."""

    name: str | None = option("--name", metavar="NAME", help="Name of the container (default: two random words).")
    pull: str | None = option(
        "--pull", one_of=PULLING, default="missing", help="Pull the image: always, missing (default), or never."
    )
    quiet: bool = option("-q", "--quiet", is_flag=True, help="Do not show the progress of a pull.")
    program: ProgramFlags = part(ProgramFlags)
    host: AroundFlags = part(AroundFlags)
    network: NetworkFlags = part(NetworkFlags)
    rights: RightsFlags = part(RightsFlags)
    limits: ContainerLimitFlags = part(ContainerLimitFlags)
    namespaces: NamespaceFlags = part(NamespaceFlags)

    def request(self, image: str, words: tuple[str, ...], attached: tuple[str, ...]) -> "ContainerRequest":
        """Return the requested settings of a container of *image*.

        *words* replace the command of the image. *attached* are the streams that the creating command is attached to.
        """
        from pybuild.builder.containers.creating import ContainerRequest

        given = self.program
        if given.stop_signal:
            signal_number(given.stop_signal)
        return ContainerRequest(
            image=image,
            name=self.name or "",
            words=words,
            entrypoint=given.entrypoint,
            env=_variables(given, os.environ),
            labels=_labels(given),
            user=given.user,
            working_dir=working_dir(given.workdir),
            # As in Docker, a container on the host's network has the name of the host.
            hostname=given.hostname or (os.uname().nodename if self.network.mode() == HOST else ""),
            tty=given.tty,
            open_stdin=given.interactive,
            attached=attached,
            stop_signal=given.stop_signal or "",
            stop_timeout=given.stop_timeout,
            healthcheck=given.health.healthcheck(),
            exposed_ports=self.network.exposed(),
            annotations=_pairs(self.host.annotations),
            id_file=os.fspath(self.host.cidfile.absolute()) if self.host.cidfile else "",
        )

    def check_restart(self) -> None:
        """Raise RequestError for a restart policy together with ``--rm``."""
        if self.host.rm and (self.host.restart or "no") != "no":
            raise RequestError("conflicting options: cannot specify both --restart and --rm")

    def host_config(self) -> HostConfig:
        """Return the host config of the container. Raises RequestError when flags contradict each other."""
        given = self.host
        self.check_restart()
        restart, most = restart_policy(given.restart or "no")
        rights = self.rights
        if given.privileged and rights.cap_drop:
            raise RequestError(
                "conflicting options: --privileged and --cap-drop",
                hint="--cap-add=ALL and --cap-drop give all but some",
            )
        found = rights.confinement()
        return HostConfig(
            group_add=found.groups,
            volumes_from=given.volumes_from,
            cap_add=found.cap_add,
            cap_drop=found.cap_drop,
            no_new_privileges=found.no_new_privileges,
            seccomp=found.seccomp,
            devices=tuple((str(each.host_path), str(each.target)) for each in found.devices),
            network=self.network.mode(),
            networking=self.network.networking(),
            mounts=(*mount_points(given.volumes, given.mounts, given.tmpfs), *map(_shown, found.volumes)),
            device_env=found.env,
            binds=binds(given.volumes),
            limits=self.limits.limits(),
            namespaces=self.namespaces.namespaces(
                host_network=self.network.mode() == HOST, hostname=self.program.hostname
            ),
            init=given.init,
            privileged=given.privileged,
            read_only=rights.read_only,
            auto_remove=given.rm,
            restart=restart,
            restart_most=most,
            log_driver=given.log_driver or "json-file",
            log_options=log_options(given.log_opts),
        )


def _shown(file: Volume) -> MountPoint:
    return MountPoint(kind=BIND, source=str(file.host_path), target=str(file.target), read_only=file.read_only)


def restart_policy(text: str) -> tuple[str, int]:
    """Return the policy of ``--restart``, and how often at most. Raises RequestError."""
    name, colon, most = text.partition(":")
    if name not in _POLICIES:
        raise RequestError(
            f"invalid restart policy: unknown policy '{name}'", hint=f"use one of {', '.join(_POLICIES)}"
        )
    if colon and name != "on-failure":
        raise RequestError(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'", hint="leave it out"
        )
    count = whole_number(most or "0")
    if count is None or (colon and not most):
        raise RequestError("invalid restart policy format: maximum retry count must be an integer")
    return name, count


def working_dir(path: str | None) -> str:
    """Return the value of ``--workdir``, "" for none. Raises RequestError for a relative one."""
    if path and not path.startswith("/"):
        raise RequestError(
            f"the working directory '{path}' is invalid, it needs to be an absolute path", hint="begin it with /"
        )
    return path or ""


def _variables(given: ProgramFlags, env: Mapping[str, str]) -> tuple[str, ...]:
    lines = (*(line for path in given.env_files for line in env_lines(path)), *given.variables)
    found = variables(lines, env, "variable")
    # A name alone that we have no variable of takes the image's away.
    without = dict.fromkeys(line for line in lines if "=" not in line and line not in found)
    return (*without, *(f"{name}={value}" for name, value in found.items()))


def _labels(given: ProgramFlags) -> tuple[tuple[str, str], ...]:
    in_files = (line for path in given.label_files for line in lines_of("--label-file", path))
    lines = (*(line for line in in_files if "=" in line), *given.labels)
    return _pairs(tuple(lines))


def _pairs(given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, _, value in (item.partition("=") for item in given))
