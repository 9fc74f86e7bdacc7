"""From arguments to the syntax tree: the table of all instructions, with a function for each that needs one."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypedDict

from pybuild.grammar import hints
from pybuild.grammar.dockerfile import mounts
from pybuild.grammar.dockerfile.arguments import Arguments
from pybuild.grammar.nodes import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    ShellForm,
    StopSignal,
    User,
    Volume,
    Word,
    Workdir,
)
from pybuild.grammar.parse_go import SPACE, quote
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.values import replace

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*")
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")


def from_(given: Arguments) -> From:
    """Build FROM."""
    image, *names = given.pieces
    name = names[0].text.lower() if names else None
    if name is not None and not _STAGE_NAME.fullmatch(name):
        message = (
            f"invalid name for build stage: {quote(names[0].text)}, name can't start with a number or contain symbols"
        )
        raise given.error(message, names[0].span, hints.STAGE_NAME)
    return From(image=image.word(), platform=given.flags.text("platform"), name=name, **given.facts)


def arg(given: Arguments) -> Arg:
    """Build ARG."""
    items: list[tuple[str, Word | None]] = []
    for piece in given.pieces:
        name, value = piece.cut("=")
        if not name.text:
            raise given.error("ARG names can not be blank", piece.span, "write name=value without spaces between")
        items.append((name.text, value.word() if value else None))
    return Arg(items=tuple(items), **given.facts)


def run(given: Arguments) -> Run:
    """Build RUN."""
    # Without arguments it is an empty command for the shell, as in Docker, which refuses the empty array alone.
    command = given.command()
    if command == ExecForm(()):
        raise given.error("RUN requires at least one argument", hint=hints.form(given.keyword.lower()))
    return Run(
        command=command,
        heredocs=tuple(body.heredoc for body in given.line.bodies),
        mounts=tuple(map(mounts.read_mount, given.flags.all("mount"))),
        network=_choice(given, "network", _NETWORKS, "invalid network mode {}"),
        security=_choice(given, "security", _SECURITY, "security {} is not valid"),
        **given.facts,
    )


def _choice(given: Arguments, flag: str, choices: tuple[str, ...], message: str) -> str:
    # Not by `Flags.text`, for which an empty value is none: here Docker refuses it.
    if not given.flags.all(flag):
        return choices[0]
    word = given.flags.all(flag)[0]
    if word.text not in choices:
        raise given.error(message.format(quote(word.text)), word.span, did_you_mean(word.text, choices))
    return word.text


class _Copying(TypedDict):
    sources: tuple[Word | Heredoc, ...]
    destination: Word
    chown: Word | None
    chmod: Word | None
    link: bool
    exclude: tuple[Word, ...]


def copy(given: Arguments) -> Copy:
    """Build COPY."""
    parents = given.flags.boolean("parents") or False
    return Copy(from_=given.flags.text("from"), parents=parents, **_copying(given), **given.facts)


def add(given: Arguments) -> Add:
    """Build ADD."""
    flags = given.flags
    return Add(
        checksum=flags.text("checksum"),
        keep_git_dir=flags.boolean("keep-git-dir") or False,
        unpack=flags.boolean("unpack"),
        **_copying(given),
        **given.facts,
    )


def _copying(given: Arguments) -> _Copying:
    """Return what COPY and ADD have in common."""
    found = given.sources()
    if len(found) < 2:
        raise given.error(two_arguments(given.keyword), hint=hints.form(given.keyword.lower()))
    *sources, destination = found
    if isinstance(destination, Heredoc):
        raise given.error(f"{given.keyword} cannot accept a heredoc as a destination", destination.span)
    return _Copying(
        sources=tuple(sources),
        destination=destination,
        chown=given.flags.text("chown"),
        chmod=given.flags.text("chmod"),
        link=given.flags.boolean("link") or False,
        exclude=tuple(replace(word, literal=True) for word in given.flags.all("exclude")),
    )


def two_arguments(keyword: str) -> str:
    """Return the message for a copy without a destination."""
    only = "but only one was provided. Destination could not be determined"
    return f"{keyword} requires at least two arguments, {only}"


def volume(given: Arguments) -> Volume:
    """Build VOLUME."""
    pieces = given.list()
    if not pieces:
        raise given.error("VOLUME requires at least one argument", hint=hints.form(given.keyword.lower()))
    for piece in pieces:
        if not piece.text.strip(SPACE):
            raise given.error("VOLUME specified can not be an empty string", piece.span)
    return Volume(paths=tuple(replace(piece.word(), text=piece.text.strip(SPACE)) for piece in pieces), **given.facts)


def shell(given: Arguments) -> Shell:
    """Build SHELL."""
    command = given.command()
    if not isinstance(command, ExecForm):
        escaped = "\\" in command.text and "\\\\" not in command.text
        hint = "write a backslash in JSON twice" if escaped else 'write SHELL ["executable", "parameter"]'
        raise given.error("SHELL requires the arguments to be in JSON form", given.text().span, hint)
    if not command.args:
        raise given.error("SHELL requires at least one argument", hint=hints.form(given.keyword.lower()))
    return Shell(args=command.args, **given.facts)


def healthcheck(given: Arguments) -> Healthcheck:
    """Build HEALTHCHECK."""
    kind = given.text().text.upper()
    if kind == "NONE":
        if len(given.pieces) > 1:
            raise given.error("HEALTHCHECK NONE takes no arguments", given.pieces[1].span)
        return Healthcheck(command=None, **given.facts)
    if kind != "CMD":
        raise given.error(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)", given.text().span)
    command = given.command(skip=1)
    if command in (ExecForm(()), ShellForm("")):
        raise given.error("Missing command after HEALTHCHECK CMD", hint=hints.form(given.keyword.lower()))
    return Healthcheck(
        command=command,
        interval=given.duration("interval"),
        timeout=given.duration("timeout"),
        start_period=given.duration("start-period"),
        start_interval=given.duration("start-interval"),
        retries=given.count("retries"),
        **given.facts,
    )


def onbuild(given: Arguments) -> Onbuild:
    """Build ONBUILD: the text of its instruction, followed by the bodies of its heredocs."""
    bodies = "".join(f"\n{body.raw}{body.heredoc.name}" for body in given.line.bodies)
    return Onbuild(trigger=given.text().text + bodies, **given.facts)


class Reader(NamedTuple):
    """How an instruction is read: its function, and the message for a number of words that the grammar refuses."""

    build: Callable[[Arguments], Instruction]
    arity: str


_ONE = "{} requires exactly one argument"
_SOME = "{} requires at least one argument"
_TWO = two_arguments("{}")

READERS: Mapping[str, Reader] = {
    "from": Reader(from_, "{} requires either one or three arguments"),
    "arg": Reader(arg, _SOME),
    "onbuild": Reader(onbuild, _SOME),
    "run": Reader(run, _SOME),
    "copy": Reader(copy, _TWO),
    "add": Reader(add, _TWO),
    "workdir": Reader(lambda given: Workdir(path=given.text().word(), **given.facts), _ONE),
    "env": Reader(lambda given: Env(**given.pairs(), **given.facts), _SOME),
    "label": Reader(lambda given: Label(**given.pairs(), **given.facts), _SOME),
    "user": Reader(lambda given: User(user=given.text().word(), **given.facts), _ONE),
    "shell": Reader(shell, _SOME),
    "cmd": Reader(lambda given: Cmd(command=given.command(), **given.facts), _SOME),
    "entrypoint": Reader(lambda given: Entrypoint(command=given.command(), **given.facts), _SOME),
    "expose": Reader(lambda given: Expose(ports=given.words(), **given.facts), _SOME),
    "volume": Reader(volume, _SOME),
    "stopsignal": Reader(lambda given: StopSignal(signal=given.text().word(), **given.facts), _ONE),
    "healthcheck": Reader(healthcheck, _SOME),
    "maintainer": Reader(lambda given: Maintainer(name=given.text().word(literal=True), **given.facts), _ONE),
}
"""All instructions, by their names in lower case, which are those of their start rules."""
