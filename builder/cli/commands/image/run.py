"""``pybuild run``: a command in the sandbox, with the files of an image; its changes are discarded."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import Failure, Told, describe
from pybuild.builder.cli.flags.build import hosts, variables
from pybuild.builder.cli.flags.group import argument, option, takes
from pybuild.builder.cli.flags.host import ISOLATION_HELP, choose_isolation, mount_target, volume
from pybuild.builder.cli.flags.values import FilePath, OneOf
from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.tools import tree_store
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.execute import in_image
from pybuild.builder.image.catalog import find_image
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.image import Image
from pybuild.builder.platforms import wanted_platform
from pybuild.builder.store.room import writing
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.sandbox.spec import Bind, Mount, Network, Spec, Tmpfs
from pybuild.runtime.values import frozen

OUR_FAULT = 125
_EPILOG = """\b
Differences from docker run:
  - There is no daemon and no container: when the command ends, all changes of
    files are discarded, as with --rm.
  - There are two networks: the host's and none.
  - Signals that pybuild gets are passed to the command, with -t as well. The third
    Ctrl-C kills it. As there is no "docker stop", --stop-timeout counts from a
    SIGTERM.
  - Exit codes are Docker's: 125 pybuild failed, 126 the command cannot be
    executed, 127 the command was not found, else the exit code of the command.
"""


@frozen
class RunFlags:
    """The image, the command, and what it gets."""

    image: str = argument(type=IMAGE)
    words: tuple[str, ...] = argument(empty=True, nargs=-1, metavar="[COMMAND [ARG...]]", type=click.UNPROCESSED)
    variables: tuple[str, ...] = option(
        "-e",
        "--env",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Set an environment variable; NAME alone takes its value from the environment. Repeatable.",
    )
    env_files: tuple[Path, ...] = option(
        "--env-file", multiple=True, type=FilePath(), metavar="FILE", help="Read environment variables from FILE."
    )
    workdir: str | None = option("-w", "--workdir", metavar="DIR", help="Working directory of the command.")
    user: str | None = option("-u", "--user", metavar="USER[:GROUP]", help="User to run as.")
    entrypoint: str | None = option(
        "--entrypoint",
        empty=True,
        metavar="PROGRAM",
        help="Overwrite the default entrypoint and command of the image.",
    )
    """An empty one means that there is none."""
    network: str | None = option(
        "--network",
        type=OneOf(["host", "none"]),
        default="host",
        help="Use the network of the host (default), or a loopback interface only.",
    )
    isolation: str | None = option("--isolation", metavar="RUNG", help=ISOLATION_HELP)
    volumes: tuple[str, ...] = option(
        "-v",
        "--volume",
        multiple=True,
        metavar="HOST:TARGET[:ro]",
        help="Bind mount a file or directory of the host; repeatable.",
    )
    tmpfs: tuple[str, ...] = option("--tmpfs", multiple=True, metavar="TARGET", help="Mount an empty tmpfs.")
    add_hosts: tuple[str, ...] = option(
        "--add-host", multiple=True, metavar="NAME:ADDRESS", help="Add a line to /etc/hosts."
    )
    hostname: str | None = option(
        "-h", "--hostname", default="pybuild", metavar="NAME", help="Host name of the sandbox."
    )
    platform: str | None = option(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        envvar="DOCKER_DEFAULT_PLATFORM",
        help="Platform to take from a multi-platform image.",
    )
    init: bool = option(
        "--init", is_flag=True, help="Run an init as process 1, which forwards signals and reaps processes."
    )
    stop_timeout: int = option(
        "--stop-timeout",
        type=int,
        default=10,
        metavar="SECONDS",
        help="Time from a SIGTERM of pybuild until the command is killed (default: 10; -1: never).",
    )
    interactive: bool = option("-i", "--interactive", is_flag=True, help="Pass standard input to the command.")
    tty: bool = option("-t", "--tty", is_flag=True, help="Allocate a pseudo-terminal.")
    rm: bool = option("--rm", is_flag=True, help="No effect: nothing is kept.")


@click.command(
    "run",
    cls=Command,
    epilog=_EPILOG,
    context_settings={"allow_interspersed_args": False},
)
@takes(RunFlags, "flags")
@root_option
def command(*, flags: RunFlags) -> int:
    """Run COMMAND, or the default command of IMAGE, in a sandbox with the files of IMAGE."""
    try:
        return _run(flags)
    except (BuildError, OciError, RuntimeHostError, OSError) as error:
        raise Told(Failure(describe(error).text, OUR_FAULT)) from error


def _run(flags: RunFlags) -> int:
    from pybuild.runtime.sandbox.launcher import run
    from pybuild.runtime.sandbox.relay import SignalRelay

    choose_isolation(flags.isolation)
    if flags.interactive and flags.tty and not os.isatty(0):
        raise RequestError("the input device is not a terminal", hint="leave out -t")
    opened = tree_store()
    try:
        with opened.in_use():
            platform = wanted_platform(flags.platform) if flags.platform else None
            image = find_image(opened, flags.image, platform)
            with in_image.rootfs_of(image, opened) as root, SignalRelay(flags.stop_timeout) as signals:
                return run(spec(image, root, flags, os.environ), output=_pass_on, signals=signals).shell_code
    finally:
        opened.close()


def spec(image: Image, root: Root, flags: RunFlags, env: Mapping[str, str]) -> Spec:
    """Return the description of the sandbox. Raises RequestError."""
    command = in_image.ImageCommand(
        words=flags.words,
        entrypoint=flags.entrypoint,
        env=_environment(image, flags, env),
        workdir=flags.workdir or "",
        user=flags.user,
        mounts=(*map(_volume, flags.volumes), *(Tmpfs(target=mount_target(item)) for item in flags.tmpfs)),
        network=Network(flags.network or "host"),
        hostname=flags.hostname or "pybuild",
        hosts=hosts(flags.add_hosts),
        init=flags.init,
        interactive=flags.interactive,
        terminal=flags.tty,
    )
    return in_image.spec_of(command, image.config.config, root)


def _environment(image: Image, flags: RunFlags, env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    chosen = {"TERM": env.get("TERM", "xterm")} if flags.tty else {}
    given = [line for path in flags.env_files for line in _lines(path)]
    chosen |= variables((*image.config.config.env, *given, *flags.variables), env, "environment variable")
    return tuple(chosen.items())


def _lines(path: Path) -> list[str]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _volume(given: str) -> Mount:
    shown = volume(given)
    return Bind(host_path=shown.host_path, target=shown.target, read_only=shown.read_only)


def _pass_on(stream: int, data: bytes) -> None:
    """Write the output of the command unchanged: the user runs it as in a shell, so nothing is sanitized."""
    file = (sys.stdout if stream == 1 else sys.stderr).buffer
    with writing("/dev/stdout" if stream == 1 else "/dev/stderr"):
        file.write(data)
        file.flush()
