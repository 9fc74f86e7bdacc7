"""COPY and ADD: from the instruction to the op."""

from collections.abc import Callable

from builder.config import destination
from builder.errors import ResolveError
from builder.ops import Copy, Inline, Pick
from builder.stages import FromContext, Input, Step
from builder.state import StageState
from grammar import nodes
from grammar.golang import parse_uint32
from grammar.words import expand_body


def copy_step(node: nodes.Copy | nodes.Add, state: StageState, resolve: Callable[[nodes.Word], Input]) -> Step:
    """Return the step of a COPY or ADD and record it in the history of *state*."""
    is_add = isinstance(node, nodes.Add)
    source: Input = FromContext()
    if isinstance(node, nodes.Copy) and node.from_ is not None:
        source = resolve(node.from_)
    picks = tuple(_source(item, state, is_add=is_add) for item in node.sources)
    target = state.expand(node.destination)
    op = Copy(
        sources=picks,
        destination=destination(state.config.working_dir, target),
        chown=_flag(node.chown, state),
        chmod=_flag(node.chmod, state),
        unpack=is_add,
        link=node.link,
        parents=isinstance(node, nodes.Copy) and node.parents,
        exclude=tuple(word.text for word in node.exclude),
    )
    _check(op, node)
    state.record(_history("ADD" if is_add else "COPY", op, target), layer=True)
    uses_source = any(isinstance(pick, Pick) for pick in picks)
    if not uses_source:
        return Step(op=op, name=node.original, lines=(0, 0))
    return Step(op=op, inputs=(source,), name=node.original, lines=(0, 0))


def _flag(word: nodes.Word | None, state: StageState) -> str:
    return "" if word is None else state.expand(word)


def _source(item: nodes.Word | nodes.Heredoc, state: StageState, *, is_add: bool) -> Pick | Inline:
    if isinstance(item, nodes.Heredoc):
        body = item.body
        if item.expand:
            body = expand_body(body, state.scope, item.span)
        return Inline(name=item.name, content=body)
    path = state.expand(item)
    if path.startswith(("http://", "https://", "git://", "git@", "ssh://")):
        message = "ADD of remote sources is not supported yet" if is_add else "source can't be a URL for COPY"
        raise ResolveError(message, span=item.span, hint="use ADD, or download the file in a RUN step")
    return Pick(path=path, input=1)


def _check(op: Copy, node: nodes.Copy | nodes.Add) -> None:
    """Refuse a mode that is no octal number, as BuildKit does."""
    if op.chmod and node.chmod is not None:
        try:
            valid = parse_uint32(op.chmod, 8) <= 0o7777
        except ValueError:
            valid = False
        if not valid:
            message = f"invalid chmod parameter: '{op.chmod}'. it should be octal string and between 0 and 07777"
            raise ResolveError(message, span=node.chmod.span)


def _history(keyword: str, op: Copy, target: str) -> str:
    words = [keyword]
    words += ["--parents"] if op.parents else []
    words += [f"--chown={op.chown}"] if op.chown else []
    words += [f"--chmod={op.chmod}"] if op.chmod else []
    words += [f"<<{item.name}" if isinstance(item, Inline) else item.path for item in op.sources]
    return " ".join([*words, target, "# buildkit"])
