"""The checks of single instructions that depend on earlier ones in their stage and its bases."""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

from pybuild.builder.checks.scope import StageScope, clean_source
from pybuild.builder.checks.variables import names_in, used_names
from pybuild.grammar.dockerfile.near_miss import nearly_array
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.grammar.lint import rules
from pybuild.grammar.lint.lint import keyword, stage_violations
from pybuild.grammar.lint.rules import Rule, Violation
from pybuild.grammar.nodes import Add, Arg, Cmd, Copy, Entrypoint, Env, Expose, Instruction, ShellForm, Word, Workdir
from pybuild.grammar.parse_go import quote
from pybuild.grammar.words.expand import expand_all
from pybuild.runtime.values import frozen

# The words of BuildKit's rule, and those that it permits beside them: PUBLIC_KEY, TOKEN_FILE, AUTH_MODULE_VERSION.
_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
# BuildKit reads these two as switches of a stage, not as variables.
_NEVER_EXPANDED = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@")
_WILD = frozenset("*?[\\")
_NEEDS_A_SHELL = re.compile(r"[$`;&|<>()*?\[\]{}~#\n]|^[A-Za-z_]\w*=")


@frozen
class Placed:
    """An instruction with the scope at its place."""

    node: Instruction
    scope: StageScope
    ignore: IgnoreFile | None

    def broken(self, rule: Rule, message: str, hint: str = "") -> Violation:
        """Return the violation of *rule* by this instruction."""
        return Violation(rule=rule, message=message, span=self.node.span, hint=hint)


InstructionRule = Callable[[Placed], Iterator[Violation]]


def check_stage(body: Sequence[Instruction], scope: StageScope, ignore: IgnoreFile | None) -> Iterator[Violation]:
    """Yield the violations in *body*, the instructions of a stage with its triggers; *scope* follows them."""
    yield from stage_violations(body)
    for node in body:
        place = Placed(node=node, scope=scope, ignore=ignore)
        for rule in _RULES:
            yield from rule(place)
        scope.follow(node)


def _json_args_recommended(place: Placed) -> Iterator[Violation]:
    node = place.node
    if isinstance(node, Cmd | Entrypoint) and isinstance(node.command, ShellForm) and not place.scope.has_shell:
        name = keyword(node)
        message = f"JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
        hint = f"write {name} {_as_array(node.command.text)}"
        yield place.broken(rules.JSON_ARGS_RECOMMENDED, message, hint)


def _as_array(command: str) -> str:
    """Return a shell form in exec form; a command that needs a shell keeps it."""
    if meant := nearly_array(command):
        return meant
    args = ["/bin/sh", "-c", command]
    if not _NEEDS_A_SHELL.search(command):
        try:
            args = shlex.split(command)
        except ValueError:
            args = ["/bin/sh", "-c", command]
    return json.dumps(args, ensure_ascii=False)


def _workdir_relative_path(place: Placed) -> Iterator[Violation]:
    node, scope = place.node, place.scope
    if not isinstance(node, Workdir) or scope.workdir_is_set:
        return
    path = scope.expand(node.path)
    if path is not None and not path.startswith("/"):
        message = f"Relative workdir {quote(path)} can have unexpected results if the base image changes"
        yield place.broken(rules.WORKDIR_RELATIVE_PATH, message, f"write {keyword(node)} /{path.removeprefix('./')}")


def _undefined_var(place: Placed) -> Iterator[Violation]:
    node, scope = place.node, place.scope
    if isinstance(node, Arg):
        names = _undefined_in_defaults(node, scope)
    else:
        names = [name for name in used_names(node, scope.around.escape) if not scope.defines(name)]
    for name in names:
        if name not in _NEVER_EXPANDED:
            yield place.broken(rules.UNDEFINED_VAR, *_undefined(name, scope))


def _undefined_in_defaults(node: Arg, scope: StageScope) -> list[str]:
    """Return the undefined names in the defaults that are used; each default sees the arguments before it."""
    earlier: set[str] = set()
    names: list[str] = []
    for name, default in node.items:
        if default is not None and name not in scope.around.build_args:
            used = names_in(default, scope.around.escape)
            names += [other for other in used if other not in earlier and not scope.defines(other)]
        earlier.add(name)
    return names


def _undefined(name: str, scope: StageScope) -> tuple[str, str]:
    message = f"Usage of undefined variable '${name}'"
    guesses = scope.around.guesses
    near = guesses.closest(name, scope.variables)
    if near is not None:
        return f"{message} (did you mean ${near}?)", f"write ${near}, or declare {name} with ARG"
    if name in scope.around.scope:
        return message, f"write ARG {name} in this stage to use the global argument"
    guess = guesses.folded(name, scope.variables)
    return message, f"write ${guess}" if guess else f"declare it above with ARG {name} or ENV {name}=..."


def _secrets_used_in_arg_or_env(place: Placed) -> Iterator[Violation]:
    node = place.node
    keys: list[str | None] = []
    if isinstance(node, Arg):
        keys = [name for name, _ in node.items]
    elif isinstance(node, Env):
        keys = [place.scope.expand(key) for key, _ in node.pairs]
    name = "ARG" if isinstance(node, Arg) else "ENV"
    for key in keys:
        if key and _SECRET.search(key) and not _NO_SECRET.search(key):
            message = f"Do not use ARG or ENV instructions for sensitive data ({name} {quote(key)})"
            hint = f"pass it to the step that needs it with RUN --mount=type=secret,id={key}"
            yield place.broken(rules.SECRETS_USED_IN_ARG_OR_ENV, message, hint)


def _copy_ignored_file(place: Placed) -> Iterator[Violation]:
    node, ignore = place.node, place.ignore
    if not isinstance(node, Copy | Add) or (isinstance(node, Copy) and node.from_ is not None):
        return
    if ignore is None:
        return
    verb = "Copy" if isinstance(node, Copy) else "Add"
    for word in node.sources:
        text = place.scope.expand(word) if isinstance(word, Word) else None
        if text and not _REMOTE.match(text) and _is_ignored(ignore, path := clean_source(text)):
            message = f"Attempting to {verb} file {quote(path)} that is excluded by .dockerignore"
            line = f"line !{path}" if path != "." else "lines of what is needed, such as !src,"
            yield place.broken(rules.COPY_IGNORED_FILE, message, f"add the {line} to .dockerignore")


def _is_ignored(ignore: IgnoreFile, path: str) -> bool:
    """Return whether nothing that the source *path* names can be in the context.

    Below an excluded directory, only a walk of the context could tell what a ``!`` line that reaches it leaves.
    """
    if path == ".":
        return ignore.ignores_all
    plain = takewhile(lambda name: not _WILD.intersection(name), path.split("/"))
    return ignore.ignores(path) and not ignore.may_include("/".join(plain))


def _expose_proto_casing(place: Placed) -> Iterator[Violation]:
    for port in _ports(place):
        protocol = port.rpartition(":")[2].partition("/")[2]
        if protocol != protocol.lower():
            message = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield place.broken(rules.EXPOSE_PROTO_CASING, message, f"write {port.lower()}")


def _expose_invalid_format(place: Placed) -> Iterator[Violation]:
    for port in _ports(place):
        if ":" in port:
            only = "EXPOSE instruction should not define an IP address or host-port mapping"
            hint = f"write {port.rpartition(':')[2]}; addresses and ports of the host are for docker run -p"
            yield place.broken(rules.EXPOSE_INVALID_FORMAT, f"{only}, found '{port}'", hint)


def _ports(place: Placed) -> Iterator[str]:
    if isinstance(place.node, Expose):
        for word in place.node.ports:
            if place.scope.expand(word) is not None:
                yield from expand_all(word, place.scope.variables, escape=place.scope.around.escape)


_RULES: tuple[InstructionRule, ...] = (
    _json_args_recommended,
    _workdir_relative_path,
    _undefined_var,
    _secrets_used_in_arg_or_env,
    _copy_ignored_file,
    _expose_proto_casing,
    _expose_invalid_format,
)
