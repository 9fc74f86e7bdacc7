"""The op of RUN."""

from collections.abc import Callable, Mapping
from posixpath import normpath
from typing import Any, assert_never

from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.ops import (
    PROXIES,
    BindMount,
    CacheMount,
    Run,
    RunMount,
    Script,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from pybuild.builder.request import Planning
from pybuild.builder.stages.config import absolute, heredoc_file
from pybuild.builder.stages.stages import Input, Step
from pybuild.builder.stages.state import StageState
from pybuild.grammar import nodes
from pybuild.grammar.dockerfile.heredocs import lone_heredoc
from pybuild.grammar.dockerfile.mounts import settle
from pybuild.grammar.parse_go import parse_size
from pybuild.runtime.values import replace

_PIPES = "/dev/pipes/"
"""The directory where BuildKit puts the script of a heredoc that starts with ``#!``."""


def run_step(
    node: nodes.Run,
    state: StageState,
    planning: Planning,
    build_args: Mapping[str, str],
    resolve: Callable[[nodes.Word | None], Input],
) -> Step:
    """Return the step of a RUN and record it in the history of *state*."""
    if node.security == "insecure" and "security.insecure" not in planning.allow:
        hint = "permit it with --allow security.insecure"
        raise ResolveError("entitlement security.insecure is not allowed", span=node.span, hint=hint)
    if node.network == "host" and planning.network != "host" and "network.host" not in planning.allow:
        hint = "permit it with --allow network.host, or --network=host for all steps"
        raise ResolveError("entitlement network.host is not allowed", span=node.span, hint=hint)
    args, scripts = _command(node, state)
    inputs: list[Input] = []
    mounts = tuple(_within(_mount(flag, state, resolve, inputs), build_args) for flag in node.mounts)
    op = Run(
        args=args,
        env=tuple(state.scope.items()),
        cwd=absolute("/", state.config.working_dir),
        user=state.config.user,
        network=planning.network if node.network == "default" else node.network,
        security=node.security,
        hostname=build_args.get("BUILDKIT_SANDBOX_HOSTNAME", "buildkitsandbox"),
        hosts=planning.add_hosts,
        mounts=mounts,
        scripts=scripts,
        proxies=_proxies(build_args),
    )
    state.record(_history(args, state), layer=True)
    return Step(op=op, inputs=tuple(inputs), name=_name(node), lines=(0, 0))


def _command(node: nodes.Run, state: StageState) -> tuple[tuple[str, ...], tuple[Script, ...]]:
    """Return the arguments of the process, and the scripts that it needs."""
    shell = state.config.shell or ("/bin/sh", "-c")
    match node.command:
        case nodes.ExecForm(args):
            return args, ()
        case nodes.ShellForm(text) if not node.heredocs:
            return (*shell, text), ()
        case nodes.ShellForm(text):
            script = lone_heredoc(node)
            if script is None:
                bodies = "".join(f"\n{doc.raw}{doc.name}" for doc in node.heredocs)
                return (*shell, text + bodies), ()
            if script.body.startswith("#!"):
                path = _PIPES + heredoc_file(script)
                return (*shell, path), (Script(path=path, content=script.body),)
            return (*shell, script.body), ()


def _name(node: nodes.Run) -> str:
    if not node.heredocs or not isinstance(node.command, nodes.ShellForm):
        return node.original
    lines = node.heredocs[0].body.strip().splitlines()
    summary = lines[0] if lines else ""
    return f"{node.original} ({summary}{'...' if len(lines) > 1 else ''})"


def _history(args: tuple[str, ...], state: StageState) -> str:
    used = state.used_arguments()
    # The number and values of build arguments, as Docker has always shown them before the command.
    prefix = [f"|{len(used)}", *(f"{name}={value}" for name, value in used.items())] if used else []
    return " ".join(["RUN", *prefix, *args, "# buildkit"])


def _proxies(build_args: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the predefined proxy arguments in both spellings: passed to the process, but not part of its key.

    Users may write them in any case; when several name one proxy, the last one in byte order counts.
    """
    given = {name.lower(): value for name, value in sorted(build_args.items())}
    return tuple((name, given[proxy]) for proxy in PROXIES if given.get(proxy) for name in (proxy.upper(), proxy))


def _mount(
    flag: nodes.MountFlag, state: StageState, resolve: Callable[[nodes.Word | None], Input], inputs: list[Input]
) -> RunMount:
    kept = tuple((key, word) for key, word in flag.options if key != "from")
    settled = settle(replace(flag, options=kept), state.expand)
    options = {key: word.text for key, word in settled.options}
    target = options.get("target", "")
    if settled.kind is nodes.MountKind.CACHE and target and not target.startswith("/"):
        # BuildKit names a cache by its target as it is written: every target=node_modules is one cache.
        options.setdefault("id", normpath(target))
    if target or settled.kind not in {nodes.MountKind.SECRET, nodes.MountKind.SSH}:
        target = absolute(state.config.working_dir, target)
    if target == "/":
        hint = "" if options.get("target") else "write the directory into the flag: --mount=type=...,target=DIRECTORY"
        raise ResolveError('invalid mount target "/"', span=flag.span, hint=hint)
    return _of_kind(settled.kind, target, _mount_input(replace(flag, kind=settled.kind), resolve, inputs), options)


def _of_kind(kind: nodes.MountKind, target: str, number: int, options: Mapping[str, str]) -> RunMount:
    """Return the mount of the type *kind* with its *options* in normal spelling; *number* is that of its input."""
    source, name, env = (options.get(key, "") for key in ("source", "id", "env"))
    read_only = options.get("readonly", "true" if kind is nodes.MountKind.BIND else "false") == "true"
    mode = int(options["mode"], 8) if "mode" in options else None
    uid, gid = int(options.get("uid", "0")), int(options.get("gid", "0"))
    required = options.get("required", "false") == "true"
    common: dict[str, Any] = {"target": target, "id": name, "read_only": read_only, "env": env}
    match kind:
        case nodes.MountKind.BIND:
            return BindMount(**common, source=source, input=number)
        case nodes.MountKind.CACHE:
            sharing = options.get("sharing", "shared")
            return CacheMount(**common, source=source, input=number, sharing=sharing, mode=mode, uid=uid, gid=gid)
        case nodes.MountKind.TMPFS:
            return TmpfsMount(**common, source=source, input=number, size=parse_size(options.get("size", "0")))
        case nodes.MountKind.SECRET:
            return SecretMount(**common, source=source, mode=mode, uid=uid, gid=gid, required=required)
        case nodes.MountKind.SSH:
            return SshMount(**common, input=number, mode=mode, uid=uid, gid=gid, required=required)
        case _:
            assert_never(kind)


def _within(mount: RunMount, build_args: Mapping[str, str]) -> RunMount:
    """Return *mount*; a cache mount gets the namespace that BUILDKIT_CACHE_MOUNT_NS sets."""
    space = build_args.get("BUILDKIT_CACHE_MOUNT_NS", "")
    if not isinstance(mount, CacheMount) or not space:
        return mount
    return replace(mount, id=f"{space}/{mount.id or mount.target}")


def _mount_input(flag: nodes.MountFlag, resolve: Callable[[nodes.Word | None], Input], inputs: list[Input]) -> int:
    """Return the number of the input that is mounted, which is added when it is new; -1 for none."""
    word = flag.get("from")
    if word is None and flag.kind is not nodes.MountKind.BIND:
        return -1
    source = resolve(word)
    if source not in inputs:
        inputs.append(source)
    return inputs.index(source) + 1
