"""The source that a name in SOURCE_DATE_EPOCH stands for, and its time. Imported only when there is such a name."""

import lzma

from pybuild.builder.errors import ResolveError
from pybuild.builder.execute.archives import opened_archive
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.tar.entry import EntryKind
from pybuild.builder.oci.tar.reader import TarReader
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Planning
from pybuild.builder.request.values import EPOCH, seconds_of
from pybuild.builder.sources import address
from pybuild.builder.stages.contexts import contexts_of
from pybuild.builder.stages.outline import global_arguments
from pybuild.builder.stages.resolve import global_scope
from pybuild.builder.stages.stages import FromRemote, Input
from pybuild.builder.store.store import Store
from pybuild.grammar import nodes
from pybuild.grammar.lint.lint import keyword
from pybuild.grammar.source import Span
from pybuild.grammar.words.expand import expand

_ONE = f"{EPOCH} stage must contain exactly one remote ADD"


def named_source(definition: Definition, planning: Planning) -> tuple[str, address.RemoteSource | None]:
    """Return the value of SOURCE_DATE_EPOCH and the remote source that it names, None when it names none.

    Raises:
        DockerfileError: the Dockerfile cannot be parsed.
        ResolveError: the name is unknown, or is a stage that does more than add one remote source.
    """
    dockerfile = definition.parsed()
    scope = global_scope(dockerfile, planning)
    default = scope.pop(EPOCH, "")
    value = dict(planning.build_args).get(EPOCH, default)
    if not value or seconds_of(value) is not None:
        return value, None
    contexts = contexts_of(definition, planning)
    context = contexts.main if value == "context" else contexts.stage(value)
    if context is not None:
        return value, _remote(context)
    body = _stage(dockerfile, value)
    if not body:
        hint = "use seconds since 1970, context, or the name of a stage"
        raise ResolveError(f"invalid {EPOCH}: {value}", hint=hint, span=_written(dockerfile, planning))
    try:
        return value, _added(body, _Scope(scope, dict(planning.build_args), dockerfile.escape))
    except ResolveError as error:
        error.span = error.span or body[0].span
        raise


def _written(dockerfile: nodes.Dockerfile, planning: Planning) -> Span | None:
    """Return where in the Dockerfile the value is set; None when the command line sets it."""
    if EPOCH in dict(planning.build_args):
        return None
    items = [item for node in global_arguments(dockerfile) for item in node.items]
    return next((word.span for name, word in reversed(items) if name == EPOCH and word is not None), None)


def _remote(context: Input) -> address.RemoteSource | None:
    return context.source if isinstance(context, FromRemote) else None


def _stage(dockerfile: nodes.Dockerfile, name: str) -> tuple[nodes.Instruction, ...]:
    """Return the instructions of the first stage called *name*, its FROM first; empty when there is none."""
    found: list[nodes.Instruction] = []
    for node in dockerfile.instructions:
        if isinstance(node, nodes.From):
            if found:
                break
            if node.name != name.lower():
                continue
            found.append(node)
        elif found:
            found.append(node)
    return tuple(found)


class _Scope:
    """The variables of the stage, including all global arguments."""

    def __init__(self, variables: dict[str, str], given: dict[str, str], escape: str) -> None:
        self._variables, self._given, self._escape = variables, given, escape

    def expand(self, word: nodes.Word) -> str:
        return expand(word, self._variables, escape=self._escape)

    def declare(self, node: nodes.Arg) -> None:
        for name, default in node.items:
            if name in self._given:
                self._variables[name] = self._given[name]
            elif default is not None:
                self._variables[name] = self.expand(default)


def _added(stage: tuple[nodes.Instruction, ...], scope: _Scope) -> address.RemoteSource:
    head, *body = stage
    if not isinstance(head, nodes.From) or scope.expand(head.image) != "scratch":
        raise ResolveError(f"{EPOCH} stage must use FROM scratch")
    found: address.RemoteSource | None = None
    for node in body:
        match node:
            case nodes.Arg():
                scope.declare(node)
            case nodes.Add() if found is None:
                found = _source(node, scope)
            case nodes.Add():
                raise ResolveError(_ONE, span=node.span)
            case _:
                message = (
                    f"{EPOCH} stage does not meet source-only requirements: unsupported {keyword(node)} instruction"
                )
                raise ResolveError(message, span=node.span)
    if found is None:
        raise ResolveError(_ONE)
    return found


def _source(node: nodes.Add, scope: _Scope) -> address.RemoteSource:
    words = [item for item in node.sources if isinstance(item, nodes.Word)]
    if len(words) != 1 or len(node.sources) != 1:
        raise ResolveError(f"{_ONE} source", span=node.span)
    source = address.parse(scope.expand(words[0]))
    if source is None:
        raise ResolveError(f"{EPOCH} stage source must be a single HTTP(S) or Git ADD", span=words[0].span)
    return source if node.checksum is None else address.with_checksum(source, scope.expand(node.checksum))


def newest(digest: Digest, store: Store) -> int | None:
    """Return the time of the newest file in an archive, in seconds; None when it is not an archive or has no file."""
    with store.blobs.open(digest) as file, opened_archive(file) as stream:
        if stream is None:
            return None
        try:
            times = [int(entry.mtime) for entry, _ in TarReader(stream) if entry.kind is EntryKind.FILE]
        except (LayerError, OSError, EOFError, lzma.LZMAError):  # damaged, or compressed data that is no archive
            return None
    return max((time for time in times if time > 0), default=None)
