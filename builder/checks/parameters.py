"""``build --call=outline``: what can be handed to the build of a target: arguments, secrets, SSH agents."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.checks.report import encoded, location
from builder.checks.scope import Globals, StageScope
from builder.checks.targets import description
from builder.checks.variables import names_in
from builder.oci.model import ImageConfig
from builder.outline import Outline, Section, global_arguments
from builder.request import Request
from builder.stages import FromStage
from grammar.nodes import Arg, Dockerfile, MountFlag, MountKind, Run, Word
from grammar.source import Source, Span

_NOTHING = ImageConfig(architecture="", os="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A build argument; *needs* are the arguments that its default uses."""

    name: str
    description: str
    value: str
    span: Span
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A secret or an SSH agent that a RUN asks for."""

    name: str
    required: bool
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What the build of one target takes, in the order of the file."""

    target: str
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[Access, ...]
    agents: tuple[Access, ...]


def parameters(dockerfile: Dockerfile, outline: Outline, request: Request) -> Parameters:
    """Return what the target takes. Triggers of base images are not known here and ask for nothing."""
    survey = _Survey(dockerfile, outline, request)
    # The target first: of an argument that several stages define, its definition counts.
    needed = [outline.sections[index] for index in sorted(outline.needs({}).stages, reverse=True)]
    head = outline.sections[outline.target].head
    found: dict[str, Argument] = {}
    for section in needed:
        found = {argument.name: argument for argument in survey.arguments(section)} | found
    return Parameters(
        target=head.name or "",
        description=description(head.comment, head.name or ""),
        arguments=tuple(sorted(found.values(), key=lambda argument: argument.span.start)),
        secrets=_accesses(needed, MountKind.SECRET),
        agents=_accesses(needed, MountKind.SSH),
    )


class _Survey:
    """The arguments of every stage: those it declares, and the global ones that its FROM uses."""

    def __init__(self, dockerfile: Dockerfile, outline: Outline, request: Request) -> None:
        self._outline = outline
        self._around = Globals(scope=outline.scope, build_args=dict(request.build_args), escape=outline.escape)
        self._globals = {
            name: self._argument(node, name, default, outline.scope.get(name, ""))
            for node in global_arguments(dockerfile)
            for name, default in node.items
        }
        self._scopes: dict[int, StageScope] = {}
        self._known: dict[int, dict[str, Argument]] = {}
        self._used: dict[int, dict[str, None]] = {}
        for section in outline.sections:
            self._take_in(section)

    def arguments(self, section: Section) -> Iterator[Argument]:
        """Give the arguments that *section* uses, and those that their defaults use."""
        known = self._known[section.index]
        waiting = list(self._used[section.index])
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in seen and name in known:
                waiting.extend(known[name].needs)
                yield known[name]
            seen.add(name)

    def _take_in(self, section: Section) -> None:
        index, head = section.index, section.head
        match section.base:
            case FromStage(base):
                scope, known = self._scopes[base].copy(), dict(self._known[base])
            case _:
                scope, known = StageScope.start(self._around, _NOTHING), dict(self._globals)
        words = [word for word in (head.image, head.platform) if word is not None]
        used = {name: None for word in words for name in names_in(word, self._around.escape)}
        for node in section.body:
            scope.follow(node)
            if isinstance(node, Arg):
                used |= dict.fromkeys(name for name, _ in node.items)
                known |= self._declared(node, scope)
        self._scopes[index], self._known[index], self._used[index] = scope, known, used

    def _declared(self, node: Arg, scope: StageScope) -> Mapping[str, Argument]:
        # An ARG that only takes over a global one leaves that one's description and place.
        own = [
            (name, default)
            for name, default in node.items
            if default is not None or name in self._around.build_args or name not in self._around.scope
        ]
        return {
            name: self._argument(node, name, default, scope.variables.get(name, ""))
            for name, default in own
            if name not in self._globals or default is not None or name in self._around.build_args
        }

    def _argument(self, node: Arg, name: str, default: Word | None, value: str) -> Argument:
        needs = tuple(names_in(default, self._outline.escape)) if default is not None else ()
        return Argument(
            name=name, description=description(node.comment, name), value=value, span=node.span, needs=needs
        )


def _accesses(sections: Sequence[Section], kind: MountKind) -> tuple[Access, ...]:
    found: dict[str, Access] = {}
    for section in sections:
        for node in section.body:
            for mount in node.mounts if isinstance(node, Run) else ():
                if mount.kind is kind:
                    name = _id(mount)
                    required = mount.get("required")
                    access = Access(
                        name=name, required=required is not None and required.text == "true", span=node.span
                    )
                    found.setdefault(name, access)
    return tuple(sorted(found.values(), key=lambda access: access.span.start))


def _id(mount: MountFlag) -> str:
    if mount.kind is MountKind.SSH:
        return _text(mount, "id") or "default"
    return _text(mount, "source") or _text(mount, "id") or posixpath.basename(_text(mount, "target"))


def _text(mount: MountFlag, key: str) -> str:
    word = mount.get(key)
    return word.text if word is not None else ""


def document(found: Parameters, source: Source) -> dict[str, Any]:
    """Return the parameters with the names of BuildKit; what is empty is left out, as there."""
    arguments = [
        {
            "name": argument.name,
            **({"description": argument.description} if argument.description else {}),
            **({"value": argument.value} if argument.value else {}),
            "location": location(argument.span, source),
        }
        for argument in found.arguments
    ]
    whole = {
        "name": found.target,
        "description": found.description,
        "args": arguments,
        "secrets": [_access(secret, source) for secret in found.secrets],
        "ssh": [_access(agent, source) for agent in found.agents],
        "sources": [encoded(source)],
    }
    return {name: value for name, value in whole.items() if value}


def _access(access: Access, source: Source) -> dict[str, Any]:
    required = {"required": True} if access.required else {}
    return {"name": access.name, **required, "location": location(access.span, source)}
