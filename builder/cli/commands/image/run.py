"""``pybuild run``: run a command in a sandbox with the files of an image, or in a container."""

import os

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.image.run_once import OnceFlags, RunFlags, run_once
from pybuild.builder.cli.failures import Described, Failure, describe
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.builder.cli.flags.container.namespaces import foreign_container_flags
from pybuild.builder.cli.flags.container.rights import RightsFlags
from pybuild.builder.cli.flags.group import flags_given, option, part, takes
from pybuild.builder.cli.flags.host import ISOLATION_HELP, choose_isolation
from pybuild.builder.cli.flags.values import OneOf
from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.tools import note
from pybuild.builder.containers.errors import NoTerminal
from pybuild.builder.containers.volume_options import PROPAGATED
from pybuild.builder.errors import PybuildError, RequestError
from pybuild.builder.oci.errors import OciError
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.values import fields, frozen

OUR_FAULT = 125
_NOT_FOUND = 127
_OF_PROGRAM = ("variables", "env_files", "workdir", "user", "entrypoint", "interactive", "tty")
_OF_HOST = ("volumes", "tmpfs", "init")
_WITHOUT_CONTAINER = frozenset(
    {*_OF_PROGRAM, *_OF_HOST, "hostname", "stop_timeout", "rm", "pull", "quiet", "network", "add_hosts"}
) | {each.name for each in fields(RightsFlags)}
"""The flags that a command in a sandbox has, too. A container is made for any other, so that no flag is lost."""
_EPILOG = """\b
Differences from docker run:
  - Without a flag that needs a container (-d, --name, --label, --restart, a limit,
    a named volume and so on) the command runs in a sandbox without one, which
    starts faster: when it ends, all changes of files are discarded, as with --rm.
    Signals that pybuild gets are passed to it, with -t as well. The third Ctrl-C
    kills it, and --stop-timeout counts from a SIGTERM.
  - "pybuild ps" lists containers. Without root they have no bridges, and limits
    only where the user may write a control group.
  - --rootfs and --timeout are those of podman run.
  - Such a command has the network of the host, with --network none no other than
    a loopback, with private its own by pasta or slirp4netns. Containers have a
    network of their own, as in Docker, where netavark and aardvark-dns are
    installed (see --network); ports are published on IPv4 only.
  - Exit codes are Docker's: 125 pybuild failed, 126 the command cannot be
    executed, 127 the command was not found, else the exit code of the command.
"""


@frozen
class DetachFlags:
    """The flags about the foreground and the background of a container."""

    detach: bool = option("-d", "--detach", is_flag=True, help="Leave it running in a container; print its id.")
    attach: tuple[str, ...] = option(
        "-a", "--attach", multiple=True, type=OneOf(["stdin", "stdout", "stderr"]), help="Streams to show."
    )
    sig_proxy: bool = option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals to the command (default).")
    detach_keys: str | None = option(
        "--detach-keys", metavar="KEYS", help="Keys that leave the container running (default: ctrl-p,ctrl-q)."
    )


@frozen
class RunOwnFlags:
    """The flags that ``create`` does not have, and the platform of the image."""

    once: OnceFlags = part(OnceFlags)
    detaching: DetachFlags = part(DetachFlags)
    platform: str | None = option(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        envvar="DOCKER_DEFAULT_PLATFORM",
        help="Platform to take from a multi-platform image.",
    )
    isolation: str | None = option("--isolation", empty=True, metavar="MODE", help=ISOLATION_HELP)


@click.command(
    "run",
    cls=Command,
    epilog=_EPILOG,
    context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]},
)
@click.argument("image", type=IMAGE)
@click.argument("words", nargs=-1, metavar="[COMMAND [ARG...]]", type=click.UNPROCESSED)
@foreign_container_flags
@takes(ContainerFlags, "flags")
@takes(RunOwnFlags, "own")
@root_option
def command(image: str, words: tuple[str, ...], *, flags: ContainerFlags, own: RunOwnFlags) -> int:
    """Run COMMAND, or the default command of IMAGE, in a sandbox with the files of IMAGE."""
    try:
        _check(flags, own.detaching)
        choose_isolation(own.isolation)
        once = _without_container(image, words, flags, own) if own.detaching == DetachFlags() else None
        if once is not None:
            return _hinted(run_once(once), words)
        _check_once(own.once)
        from pybuild.builder.cli.commands.container.lifecycle.run import run_container

        return _hinted(run_container(image, words, flags, own.detaching, platform=own.platform), words)
    except (PybuildError, OciError, RuntimeHostError, OSError) as error:
        raise Described(Failure(describe(error).text, getattr(error, "run_code", OUR_FAULT))) from error


def _hinted(code: int, words: tuple[str, ...]) -> int:
    """Return the exit *code*; say why an option after the image was taken for the program."""
    if code == _NOT_FOUND and words and words[0].startswith("-"):
        note("hint: options of pybuild run come before the name of the image")
    return code


def _check(flags: ContainerFlags, detaching: DetachFlags) -> None:
    given = flags.program
    if given.interactive and given.tty and not detaching.detach and not os.isatty(0):
        raise NoTerminal


def _check_once(once: OnceFlags) -> None:
    for name, given in (("--rootfs", once.rootfs), ("--timeout", once.timeout)):
        if given:
            hint = "leave out -d, --name, --label, limits, named volumes and what else is kept"
            raise RequestError(f"{name} is for a command without a container", hint=hint)


def _without_container(image: str, words: tuple[str, ...], flags: ContainerFlags, own: RunOwnFlags) -> RunFlags | None:
    """Return what to run without a container; None when a flag needs one."""
    program, host, networks = flags.program, flags.host, flags.network
    if not _WITHOUT_CONTAINER.issuperset(flags_given(flags)) or any(map(_is_managed, host.volumes)):
        return None
    if networks.network not in {(), ("host",), ("none",), ("private",)}:
        return None
    return RunFlags(
        image=image,
        words=words,
        platform=own.platform,
        pull=flags.pull,
        quiet=flags.quiet,
        network=networks.network[0] if networks.network else "host",
        add_hosts=networks.add_hosts,
        hostname=program.hostname or "pybuild",
        rights=flags.rights,
        once=own.once,
        stop_timeout=10 if program.stop_timeout is None else program.stop_timeout,
        **{name: getattr(program, name) for name in _OF_PROGRAM},
        **{name: getattr(host, name) for name in _OF_HOST},
    )


def _is_managed(text: str) -> bool:
    """Return whether ``-v`` asks for more than a path of the host: for a volume, or for propagation."""
    source, colon, rest = text.partition(":")
    propagated = not PROPAGATED.isdisjoint(rest.partition(":")[2].split(","))
    return not colon or propagated or (source != "" and not source.startswith(("/", ".")))
