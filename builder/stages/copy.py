"""The ops of COPY and ADD."""

from collections.abc import Callable
from posixpath import normpath

from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.file_modes import parse_mode
from pybuild.builder.plan.ops import Copy, Inline, Pick
from pybuild.builder.sources import address
from pybuild.builder.sources.tree import literal
from pybuild.builder.stages.config import destination, heredoc_file
from pybuild.builder.stages.stages import FromRemote, Input, Step
from pybuild.builder.stages.state import StageState
from pybuild.grammar import nodes
from pybuild.grammar.parse_go import SPACE
from pybuild.grammar.words.expand import expand_body
from pybuild.runtime.values import replace


def copy_step(node: nodes.Copy | nodes.Add, state: StageState, resolve: Callable[[nodes.Word | None], Input]) -> Step:
    """Return the step of a COPY or ADD and record it in the history of *state*."""
    # Paths come before heredocs: that is the order in which BuildKit copies and prints them.
    ordered = sorted(node.sources, key=lambda item: isinstance(item, nodes.Heredoc))
    sources = _Sources(node, state, resolve)
    picks = tuple(sources.add(item) for item in ordered)
    target = state.expand(node.destination)
    chmod = _mode(node.chmod, state)
    op = Copy(
        sources=picks,
        destination=destination(state.config.working_dir, state.path(target)),
        chown=_flag(node.chown, state),
        chmod=chmod,
        # BuildKit does not merge with --chmod: the copy reads the rootfs, and follows its symlinks.
        link=node.link and not chmod,
        parents=isinstance(node, nodes.Copy) and node.parents,
        exclude=tuple(word.text for word in node.exclude if not _matches_nothing(word.text)),
    )
    state.record(_history(node, op, sources.shown, target), layer=True)
    return Step(op=op, inputs=tuple(sources.inputs), name=node.original, lines=(0, 0))


def _flag(word: nodes.Word | None, state: StageState) -> str:
    return "" if word is None else state.expand(word)


class _Sources:
    """The sources of one instruction, and the inputs that they come from."""

    def __init__(
        self, node: nodes.Copy | nodes.Add, state: StageState, resolve: Callable[[nodes.Word | None], Input]
    ) -> None:
        self.node, self.state, self.resolve = node, state, resolve
        self.inputs: list[Input] = []
        self.shown: list[str] = []
        """The sources as the history shows them."""

    def add(self, item: nodes.Word | nodes.Heredoc) -> Pick | Inline:
        """Return the source that *item* names."""
        if isinstance(item, nodes.Heredoc):
            self.shown.append(f"<<{item.name}")
            return Inline(name=heredoc_file(item), content=self._body(item))
        text = self.state.expand(item)
        self.shown.append(text)
        try:
            source = address.parse(text)
        except ResolveError as error:
            error.span = error.span or item.span
            raise
        if source is None:
            return self._file(text)
        return self._remote(source, item)

    def _body(self, item: nodes.Heredoc) -> str:
        return expand_body(item.body, self.state.scope, item.span) if item.expand else item.body

    def _file(self, path: str) -> Pick:
        node, path = self.node, self.state.path(path)
        if isinstance(node, nodes.Copy):
            return Pick(path=path, input=self._number(self.resolve(node.from_)))
        if node.checksum is not None:
            raise ResolveError("checksum requires HTTP(S) or Git sources", span=node.checksum.span)
        # Local archives are unpacked by default, those of the web on request (Dockerfile reference, "ADD --unpack").
        return Pick(path=path, input=self._number(self.resolve(None)), unpack=node.unpack is not False)

    def _remote(self, source: address.RemoteSource, item: nodes.Word) -> Pick:
        """Return the pick of a remote source: its one file, or all of its tree."""
        node = self.node
        is_git = isinstance(source, address.GitSource)
        if isinstance(node, nodes.Copy):
            hint = "use ADD, or fetch it in a RUN step"
            what = "a git ref" if is_git else "a URL"
            raise ResolveError(f"source can't be {what} for COPY", span=item.span, hint=hint)
        source = self._checked(source, node)
        if isinstance(source, address.HttpSource):
            path, unpack = literal(source.name), node.unpack is True
        else:
            path, unpack = "/", False
            source = replace(source, keep_git_dir=source.keep_git_dir or node.keep_git_dir)
        return Pick(path=path, input=self._number(FromRemote(source, span=item.span)), unpack=unpack)

    def _checked(self, source: address.RemoteSource, node: nodes.Add) -> address.RemoteSource:
        if node.checksum is None:
            return source
        if len(node.sources) > 1:
            raise ResolveError("checksum can't be specified for multiple sources", span=node.checksum.span)
        try:
            return address.with_checksum(source, self.state.expand(node.checksum))
        except ResolveError as error:
            error.span = node.checksum.span
            raise

    def _number(self, source: Input) -> int:
        if source not in self.inputs:
            self.inputs.append(source)
        return self.inputs.index(source) + 1


def _matches_nothing(exclude: str) -> bool:
    """Return whether a pattern of ``--exclude`` begins with a slash, which no path does.

    BuildKit removes that slash from the lines of an ignore file only. The parser warns about it.
    """
    return normpath(exclude.strip(SPACE)).removeprefix("!").startswith("/")


def _mode(word: nodes.Word | None, state: StageState) -> str:
    """Return the value of ``--chmod``, which is octal or symbolic."""
    text = _flag(word, state)
    if word is not None and text:
        try:
            parse_mode(text)
        except ResolveError as error:
            error.span = word.span
            raise
    return text


def _history(node: nodes.Copy | nodes.Add, op: Copy, sources: list[str], target: str) -> str:
    words = ["ADD" if isinstance(node, nodes.Add) else "COPY"]
    words += ["--parents"] if op.parents else []
    words += [f"--chown={op.chown}"] if op.chown else []
    words += [f"--chmod={op.chmod}"] if op.chmod else []
    # BuildKit marks the instructions that make a layer in this way.
    return " ".join([*words, *sources, target, "# buildkit"])
