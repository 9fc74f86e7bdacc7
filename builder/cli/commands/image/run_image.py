"""What ``pybuild run`` does, and reading its command line without click, for the flags that need no more than a look.

The table of flags is what the groups declare, so that a new flag is known here as well.
"""

import os
from collections.abc import Sequence
from typing import Any

from pybuild.builder.cli.commands.image.run_once import OnceFlags, RunFlags, run_once
from pybuild.builder.cli.fast_path.common import KnownFlags, UsualWords, read
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.builder.cli.flags.container.rights import RightsFlags
from pybuild.builder.cli.flags.group import declared, flags_given, group_of, option, part
from pybuild.builder.cli.flags.host import ISOLATION_HELP, choose_isolation
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
_PLATFORM = "DOCKER_DEFAULT_PLATFORM"
_PLAIN = frozenset({"default", "empty", "help", "is_flag", "metavar", "multiple", "one_of"})
"""What may be declared of a flag that is read here. Any other attribute, such as a type, is left to click."""


@frozen
class DetachFlags:
    """The flags about the foreground and the background of a container."""

    detach: bool = option("-d", "--detach", is_flag=True, help="Leave it running in a container; print its id.")
    attach: tuple[str, ...] = option(
        "-a", "--attach", multiple=True, one_of=("stdin", "stdout", "stderr"), help="Streams to show."
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
        envvar=_PLATFORM,
        help="Platform to take from a multi-platform image.",
    )
    isolation: str | None = option("--isolation", empty=True, metavar="MODE", help=ISOLATION_HELP)


def command(words: Sequence[str]) -> int | None:
    """Carry out ``run`` with *words* and return the exit code; None, and nothing is done, when click must read them.

    Raises:
        Described: as `run_image` raises it.
    """
    if _PLATFORM in os.environ:
        return None
    kinds = ContainerFlags, RunOwnFlags
    each_flag = [each for kind in kinds for each in declared(kind) if _is_plain(each)]
    given = read(words, _known(each_flag))
    if given is None or not given.words or not given.words[0] or not _are_valid(each_flag, given):
        return None
    values = {each.name: _value(each, given) for each in each_flag if each.name in given.values}
    flags, own = (group_of(kind, values) for kind in kinds)
    return run_image(given.words[0], tuple(given.words[1:]), flags, own)


def _is_plain(flag: Any) -> bool:
    return _PLAIN.issuperset(flag.metadata["with"]) and not any("/" in name for name in flag.metadata["names"])


def _known(flags: Sequence[Any]) -> KnownFlags:
    ones, many, switches = dict[str, str](), dict[str, str](), dict[str, str]()
    for each in flags:
        about = each.metadata["with"]
        table = switches if about.get("is_flag") else many if about.get("multiple") else ones
        table.update(dict.fromkeys(each.metadata["names"], each.name))
    return KnownFlags(ones=ones, many=many, switches=switches)


def _are_valid(flags: Sequence[Any], given: UsualWords) -> bool:
    """Return whether each value is one of the words that its flag takes."""
    limited = ((each.name, each.metadata["with"]["one_of"]) for each in flags if "one_of" in each.metadata["with"])
    return all(set(given.many(name)) <= set(words) for name, words in limited)


def _value(flag: Any, given: UsualWords) -> Any:
    about = flag.metadata["with"]
    return True if about.get("is_flag") else given.many(flag.name) if about.get("multiple") else given.one(flag.name)


def run_image(image: str, words: tuple[str, ...], flags: ContainerFlags, own: RunOwnFlags) -> int:
    """Run *words*, or the default command of *image*, and return the exit code; 0 when it is left running.

    Raises:
        Described: pybuild failed; with the exit code that Docker has for the reason.
    """
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
        from pybuild.builder.cli.failures import Described, Failure, describe

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
