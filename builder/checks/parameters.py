"""``build --call=outline``: the parameters of a target: build arguments, secrets, SSH agents."""

import posixpath
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pybuild.builder.checks.report import encoded, location
from pybuild.builder.checks.scope import Globals, StageScope
from pybuild.builder.checks.targets import description
from pybuild.builder.checks.variables import names_in
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.request import Planning
from pybuild.builder.stages.outline import Outline, global_arguments
from pybuild.builder.stages.sections import Section
from pybuild.builder.stages.stages import FromImage, FromStage
from pybuild.grammar.nodes import Arg, Dockerfile, Instruction, MountFlag, MountKind, Run, Word
from pybuild.grammar.source import Source, Span

_NOTHING = ImageConfig(architecture="", os="")
_NO_CONFIGS: Mapping[str, ImageConfig] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A build argument; *needs* are the arguments that its default uses."""

    name: str
    description: str
    value: str
    span: Span
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAccess:
    """A secret or an SSH agent that a RUN asks for."""

    name: str
    required: bool
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of one target, in the order of the file."""

    target: str
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[HostAccess, ...]
    agents: tuple[HostAccess, ...]


def parameters(
    dockerfile: Dockerfile, outline: Outline, planning: Planning, configs: Mapping[str, ImageConfig] = _NO_CONFIGS
) -> Parameters:
    """Return the parameters of the target, with those of triggers of base images whose *configs* are known."""
    survey = _Survey(dockerfile, outline, planning, configs)
    # The target comes first: its definition of an argument wins over those of other stages.
    needed = [outline.sections[index] for index in sorted(outline.needs(configs).stages, reverse=True)]
    head = outline.sections[outline.target].head
    found: dict[str, Argument] = {}
    for section in needed:
        found = {argument.name: argument for argument in survey.arguments(section)} | found
    return Parameters(
        target=head.name or "",
        description=description(head.comment, head.name or ""),
        arguments=tuple(sorted(found.values(), key=lambda argument: argument.span.start)),
        secrets=survey.accesses(needed, MountKind.SECRET),
        agents=survey.accesses(needed, MountKind.SSH),
    )


class _Survey:
    """The arguments of every stage: those it declares, and the global ones that its FROM uses."""

    def __init__(
        self, dockerfile: Dockerfile, outline: Outline, planning: Planning, configs: Mapping[str, ImageConfig]
    ) -> None:
        self._outline, self._configs = outline, configs
        self._around = Globals(scope=outline.scope, build_args=dict(planning.build_args), escape=outline.escape)
        self._globals = {
            name: _argument(node, name, outline.scope.get(name, ""), self._needs(default, outline.scope))
            for node in global_arguments(dockerfile)
            for name, default in node.items
        }
        self._scopes: dict[int, StageScope] = {}
        self._known: dict[int, dict[str, Argument]] = {}
        self._used: dict[int, dict[str, None]] = {}
        for section in outline.sections:
            self._take_in(section)

    def arguments(self, section: Section) -> Iterator[Argument]:
        """Yield the arguments that *section* uses, and those that their defaults use."""
        known = self._known[section.index]
        waiting = list(self._used[section.index])
        seen: set[str] = set()
        while waiting:
            name = waiting.pop(0)
            if name not in seen and name in known:
                waiting.extend(known[name].needs)
                yield known[name]
            seen.add(name)

    def _take_in(self, section: Section) -> None:
        index, head = section.index, section.head
        match section.base:
            case FromStage(base):
                scope, known = self._scopes[base].copy(), dict(self._known[base])
            case FromImage(key=key):
                scope, known = StageScope(self._around, self._configs.get(key, _NOTHING)), dict(self._globals)
            case _:
                scope, known = StageScope(self._around, _NOTHING), dict(self._globals)
        words = [word for word in (head.image, head.platform) if word is not None]
        # As in BuildKit, a FROM uses only arguments that have a value.
        used = {name: None for word in words for name in self._needs(word, self._outline.scope)}
        for node in self._body(section):
            scope.follow(node)
            if isinstance(node, Arg):
                used |= dict.fromkeys(name for name, _ in node.items)
                known |= self._declared(node, scope)
        self._scopes[index], self._known[index], self._used[index] = scope, known, used

    def _body(self, section: Section) -> tuple[Instruction, ...]:
        """Return the instructions of *section*, including those of the triggers of its base."""
        return (*self._outline.triggers(section, self._configs), *section.body)

    def accesses(self, sections: Sequence[Section], kind: MountKind) -> tuple[HostAccess, ...]:
        """Return the secrets or the agents that *sections* ask for."""
        found: dict[str, HostAccess] = {}
        for section in sections:
            for node in self._body(section):
                for mount in node.mounts if isinstance(node, Run) else ():
                    if mount.kind is kind:
                        found.setdefault(_id(mount), _access(mount, node.span))
        return tuple(sorted(found.values(), key=lambda access: access.span.start))

    def _declared(self, node: Arg, scope: StageScope) -> Mapping[str, Argument]:
        # An ARG that only redeclares a global one with a value keeps the description and the place of that.
        return {
            name: _argument(node, name, scope.variables.get(name, ""), self._needs(default, scope.declared))
            for name, default in node.items
            if default is not None or name in self._around.build_args or name not in self._around.scope
        }

    def _needs(self, default: Word | None, visible: Container[str]) -> tuple[str, ...]:
        """Return the arguments that *default* uses, of those that are *visible* where it stands."""
        names = names_in(default, self._outline.escape) if default is not None else ()
        return tuple(name for name in names if name in visible)


def _argument(node: Arg, name: str, value: str, needs: tuple[str, ...]) -> Argument:
    return Argument(name=name, description=description(node.comment, name), value=value, span=node.span, needs=needs)


def _access(mount: MountFlag, span: Span) -> HostAccess:
    required = mount.get("required")
    return HostAccess(name=_id(mount), required=required is not None and required.text == "true", span=span)


def _id(mount: MountFlag) -> str:
    if mount.kind is MountKind.SSH:
        return _text(mount, "id") or "default"
    # The order in which BuildKit takes the id of a secret from its options.
    return _text(mount, "source") or _text(mount, "id") or posixpath.basename(_text(mount, "target"))


def _text(mount: MountFlag, key: str) -> str:
    word = mount.get(key)
    return word.text if word is not None else ""


def document(parameters: Parameters, source: Source) -> dict[str, Any]:
    """Return the parameters with BuildKit's field names; like there, empty fields are left out."""
    arguments = [
        {
            "name": argument.name,
            **({"description": argument.description} if argument.description else {}),
            **({"value": argument.value} if argument.value else {}),
            "location": location(argument.span, source),
        }
        for argument in parameters.arguments
    ]
    whole = {
        "name": parameters.target,
        "description": parameters.description,
        "args": arguments,
        "secrets": [_shown(secret, source) for secret in parameters.secrets],
        "ssh": [_shown(agent, source) for agent in parameters.agents],
        "sources": [encoded(source)],
    }
    return {name: value for name, value in whole.items() if value}


def _shown(access: HostAccess, source: Source) -> dict[str, Any]:
    required = {"required": True} if access.required else {}
    return {"name": access.name, **required, "location": location(access.span, source)}
