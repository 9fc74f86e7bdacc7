"""Applying instructions to the state of their stage.

Metadata instructions change config, scope and history; RUN, COPY, ADD and WORKDIR also add a step. The texts of the
history are BuildKit's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import assert_never

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.model import Healthcheck
from pybuild.builder.plan.ops import Mkdir
from pybuild.builder.request import Planning
from pybuild.builder.stages import config as rules
from pybuild.builder.stages import format_go
from pybuild.builder.stages.copy import copy_step
from pybuild.builder.stages.run import run_step
from pybuild.builder.stages.stages import Input, Step
from pybuild.builder.stages.state import StageState
from pybuild.builder.stages.windows import is_windows
from pybuild.grammar import nodes
from pybuild.grammar.suggest import closest
from pybuild.grammar.words.display import shown
from pybuild.grammar.words.expand import expand_all, variables, words_of
from pybuild.runtime.values import frozen, replace

_NO_VARIABLES = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})
"""Arguments for the builder itself: they are not expanded in words and not passed to steps."""


_SHORT = 4
"""Characters up to which names are similar by chance: $DATA and $PATH."""


@frozen
class Surroundings:
    """The values and functions that instructions need besides the state of their stage."""

    planning: Planning
    globals: Mapping[str, str]
    """Values of global and platform arguments, which an ARG without default gets."""
    build_args: Mapping[str, str]
    input: Callable[[nodes.Word | None], Input]
    """Resolves a ``from=`` word in this stage; None is the build context."""
    prefix: Callable[[], str]
    """Returns the next ``[stage 2/5] `` of a step name."""
    lines: Callable[[nodes.Instruction], tuple[int, int]]


def apply(node: nodes.Instruction, state: StageState, around: Surroundings) -> None:
    """Apply one instruction. Raises DockerfileError and ResolveError with the span of the mistake."""
    try:
        _apply(node, state, around)
    except ResolveError as error:
        error.span = error.span or node.span
        error.hint = _unset(node, state) or error.hint
        raise


def _unset(node: nodes.Instruction, state: StageState) -> str:
    """Return a hint with the first variable in the words of *node* that this stage does not have, "" without one."""
    words = (word for word in words_of(node) if not word.literal and "$" in word.text)
    for name in sorted(name for word in words for name in variables(word.text, escape=state.escape)):
        if name not in state.scope:
            near = closest(name, sorted(state.scope)) if len(name) > _SHORT else None
            others = "ARG and ENV of other stages do not reach it, nor an ARG before the first FROM"
            return f"${name} is not set in this stage: {f'did you mean ${near}?' if near else others}"
    return ""


def _apply(node: nodes.Instruction, state: StageState, around: Surroundings) -> None:
    match node:
        case nodes.Arg():
            _arg(node, state, around)
        case nodes.Env():
            _env(node, state)
        case nodes.Label():
            _label(node, state)
        case nodes.Run():
            _add(state, run_step(node, state, around.planning, around.build_args, around.input), node, around)
        case nodes.Copy() | nodes.Add():
            _add(state, copy_step(node, state, around.input), node, around)
        case nodes.Workdir():
            _workdir(node, state, around)
        case nodes.User():
            _user(node, state)
        case nodes.Shell():
            state.configure(replace(state.config, shell=node.args))
            state.record(f"SHELL {format_go.plain_list(node.args)}")
        case nodes.Cmd():
            _cmd(node, state)
        case nodes.Entrypoint():
            _entrypoint(node, state)
        case nodes.Expose():
            _expose(node, state)
        case nodes.Volume():
            _volume(node, state)
        case nodes.StopSignal():
            with _at(node.signal):
                signal = rules.check_signal(state.expand(node.signal))
            state.configure(replace(state.config, stop_signal=signal))
            state.record(f"STOPSIGNAL {signal}")
        case nodes.Healthcheck():
            _healthcheck(node, state)
        case nodes.Maintainer():
            state.image = replace(state.image, author=node.name.text)
            state.record(f"MAINTAINER {node.name.text}")
        case nodes.Onbuild():
            # Without an entry in the history, as in BuildKit.
            state.configure(replace(state.config, on_build=(*state.config.on_build, node.trigger)))
        case nodes.From():
            raise ResolveError("FROM isn't allowed as an ONBUILD trigger", span=node.span)
        case _:
            assert_never(node)


@contextmanager
def _at(word: nodes.Word) -> Iterator[None]:
    """Add the place of *word* to an error of the block that has none."""
    try:
        yield
    except ResolveError as error:
        error.span = error.span or word.span
        raise


def _add(state: StageState, step: Step, node: nodes.Instruction, around: Surroundings) -> None:
    name = around.prefix() + shown(step.name, state.scope, escape=state.escape)
    state.steps.append(replace(step, name=name, lines=around.lines(node)))


def _arg(node: nodes.Arg, state: StageState, around: Surroundings) -> None:
    shown = []
    for name, default in node.items:
        # The order is BuildKit's: --build-arg, the default of this ARG, then a global argument of that name.
        value = around.build_args.get(name)
        if value is None and default is not None:
            value = state.expand(default)
        if value is None:
            value = around.globals.get(name)
        if value is not None and name not in _NO_VARIABLES:
            state.scope[name] = value
        state.arguments[name] = value
        shown.append(name if value is None else f"{name}={value}")
    state.record("ARG " + " ".join(shown))


def _env(node: nodes.Env, state: StageState) -> None:
    pairs = _expand_pairs(node.pairs, state)
    for (name, value), (written, _) in zip(pairs, node.pairs, strict=True):
        # Docker writes "=value" into the config, and no container of such an image starts.
        if not name:
            raise ResolveError("ENV names can not be blank", span=written.span)
        # The scope has all variables of the config, and there may be thousands.
        state.configure(rules.with_env(state.config, name, value, is_new=name not in state.scope))
        state.scope[name] = value
    state.record("ENV " + " ".join(f"{name}={value}" for name, value in pairs))


def _label(node: nodes.Label, state: StageState) -> None:
    pairs = _expand_pairs(node.pairs, state)
    state.labels.update(pairs)
    state.record("LABEL " + " ".join(f"{name}={value}" for name, value in pairs))


def _expand_pairs(pairs: tuple[tuple[nodes.Word, nodes.Word], ...], state: StageState) -> list[tuple[str, str]]:
    """Expand all pairs with the values from before the instruction."""
    return [(state.expand(name), state.expand(value)) for name, value in pairs]


def _workdir(node: nodes.Workdir, state: StageState, around: Surroundings) -> None:
    written = rules.working_dir(state.config.working_dir, state.path(state.expand(node.path)))
    state.configure(replace(state.config, working_dir=written))
    path = rules.absolute("/", written)
    # The root directory exists, so there is no layer for it, as in BuildKit.
    if path != "/":
        op = Mkdir(path=path, user=state.config.user)
        _add(state, Step(op=op, name=node.original, lines=(0, 0)), node, around)
    state.record(f"WORKDIR {written}", layer=path != "/")


def _user(node: nodes.User, state: StageState) -> None:
    user = state.expand(node.user)
    state.configure(replace(state.config, user=user))
    state.record(f"USER {user}")


def _cmd(node: nodes.Cmd, state: StageState) -> None:
    args = rules.command_args(state.config, node.command, is_windows=is_windows(state.image))
    # BuildKit sets the deprecated member ArgsEscaped with each CMD, on Linux as well.
    state.configure(replace(state.config, cmd=args, args_escaped=True))
    state.cmd_is_set = True
    state.record(f"CMD {format_go.quoted_list(args)}")


def _entrypoint(node: nodes.Entrypoint, state: StageState) -> None:
    args = rules.command_args(state.config, node.command, is_windows=is_windows(state.image))
    # The CMD of a base belongs to its ENTRYPOINT (Dockerfile reference, "Understand how CMD and ENTRYPOINT interact").
    cmd = state.config.cmd if state.cmd_is_set else None
    state.configure(replace(state.config, entrypoint=args, cmd=cmd))
    state.record(f"ENTRYPOINT {format_go.quoted_list(args)}")


def _expose(node: nodes.Expose, state: StageState) -> None:
    found: set[str] = set()
    for word in node.ports:
        with _at(word):
            found.update(rules.parse_ports(expand_all(word, state.scope, escape=state.escape)))
    ports = tuple(sorted(found))
    state.configure(replace(state.config, exposed_ports=rules.with_names(state.config.exposed_ports, ports)))
    state.record(f"EXPOSE {format_go.plain_list(ports)}")


def _volume(node: nodes.Volume, state: StageState) -> None:
    paths = [state.expand(word) for word in node.paths]
    for word, path in zip(node.paths, paths, strict=True):
        if not path.strip():
            raise ResolveError("VOLUME specified can not be an empty string", span=word.span)
    state.configure(replace(state.config, volumes=rules.with_names(state.config.volumes, paths)))
    state.record(f"VOLUME {format_go.plain_list(paths)}")


def _healthcheck(node: nodes.Healthcheck, state: StageState) -> None:
    check = Healthcheck(
        test=rules.healthcheck_test(node.command),
        interval=node.interval,
        timeout=node.timeout,
        start_period=node.start_period,
        start_interval=node.start_interval,
        retries=node.retries,
    )
    state.configure(replace(state.config, healthcheck=check))
    state.record(rules.healthcheck_history(check))
