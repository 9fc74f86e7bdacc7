"""The outline of a Dockerfile: its stages, what each starts from, and which stages and images a target needs.

FROM may use only global arguments, so the outline is known from the text and the request alone. The one thing that
can add to it later are the ONBUILD triggers of a base image: `Outline.needs` takes the configs that are known so far
and may name more images than before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from builder.errors import ResolveError
from builder.named import Contexts
from builder.oci.model import ImageConfig
from builder.platforms import parse_platform
from builder.stages import FromContext, FromImage, FromRemote, FromScratch, FromStage, Input
from grammar.nodes import Arg, Copy, Dockerfile, From, Instruction, Onbuild, Run, Word
from grammar.parser import parse_trigger
from grammar.reference import InvalidReference, parse_reference
from grammar.suggest import closest
from grammar.words import expand


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A FROM with the instructions up to the next one."""

    index: int
    head: From
    body: tuple[Instruction, ...]
    base: Input
    replaced: bool = False
    """A named context stands in for the stage."""

    @property
    def label(self) -> str:
        """The name for messages: the alias, else ``stage-N``."""
        return self.head.name or f"stage-{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a target needs: stages by index, images by full name with the span that asks for each."""

    stages: frozenset[int]
    images: Mapping[str, Word]


class Outline:
    """Sections, global scope and target of one Dockerfile. A stage that *contexts* replace has no instructions."""

    def __init__(
        self, dockerfile: Dockerfile, scope: Mapping[str, str], target: str | None, contexts: Contexts | None = None
    ) -> None:
        self.escape = dockerfile.escape
        self.scope = scope
        self.contexts = contexts or Contexts()
        self.sections = _sections(dockerfile, scope, self.contexts)
        self.target = self._find_target(target)

    def _find_target(self, name: str | None) -> int:
        if name is None:
            return len(self.sections) - 1
        found = self._named(name, len(self.sections))
        if found is None and name.isascii() and name.isdigit() and int(name) < len(self.sections):
            found = int(name)
        if found is None:
            guess = closest(name.lower(), [s.head.name for s in self.sections if s.head.name])
            hint = f" (did you mean {guess}?)" if guess else ""
            raise ResolveError(f'target stage "{name}" could not be found{hint}')
        return found

    def _named(self, name: str, before: int) -> int | None:
        return _last_named(self.sections[:before], name)

    def input(self, word: Word | None, current: int) -> Input:
        """Return what ``--from=`` or ``from=`` means in section *current*; without it, the build context.

        A stage by name or index, a named context, or an image.
        """
        if word is None:
            return self.contexts.main
        text = expand(word, self.scope, escape=self.escape)
        if text.isascii() and text.isdigit():
            if int(text) >= current:
                raise ResolveError(f"invalid stage index {text}", span=word.span, hint=self._earlier(current))
            return FromStage(int(text))
        found = self._named(text, current)
        if found is not None:
            return FromStage(found)
        if self._named(text, len(self.sections)) is not None:
            label = self.sections[current].label
            message = f'cannot copy from stage "{text}", it needs to be defined before current stage "{label}"'
            raise ResolveError(message, span=word.span)
        if text.lower() == "scratch":
            return FromScratch()
        if (context := self.contexts.image(text)) is not None:
            return context
        guess = closest(text.lower(), [s.head.name for s in self.sections[:current] if s.head.name])
        return _image(text, word, guess)

    def similar_stage(self, word: Word) -> str | None:
        """Return the name of a stage that *word*, which names an image nobody has, may have been meant to be."""
        text = expand(word, self.scope, escape=self.escape)
        return closest(text.lower(), [s.head.name for s in self.sections if s.head.name])

    def _earlier(self, current: int) -> str:
        return f"stages before this one are numbered 0 to {current - 1}" if current else "there is no earlier stage"

    def triggers(self, section: Section, configs: Mapping[str, ImageConfig]) -> tuple[Instruction, ...]:
        """Return the ONBUILD triggers that the base of *section* brings, parsed; one that is replaced runs none."""
        if section.replaced:
            return ()
        match section.base:
            case FromStage(index):
                body = self.sections[index].body
                texts = tuple(node.trigger for node in body if isinstance(node, Onbuild))
            case FromImage(key=key) if key in configs:
                texts = configs[key].config.on_build
            case _:
                texts = ()
        return tuple(parse_trigger(text, section.head.span, self.escape) for text in texts)

    def needs(self, configs: Mapping[str, ImageConfig]) -> Needs:
        """Return what the target needs, as far as the *configs* of the base images are known."""
        stages: set[int] = set()
        images: dict[str, Word] = {}
        waiting = [self.target]
        while waiting:
            index = waiting.pop()
            if index in stages:
                continue
            stages.add(index)
            for word, wanted in self._inputs(self.sections[index], configs):
                match wanted:
                    case FromStage(other):
                        waiting.append(other)
                    case FromImage(key=key):
                        images.setdefault(key, word)
                    case FromScratch() | FromContext() | FromRemote():
                        pass
        return Needs(stages=frozenset(stages), images=images)

    def _inputs(self, section: Section, configs: Mapping[str, ImageConfig]) -> Iterator[tuple[Word, Input]]:
        yield section.head.image, section.base
        for node in (*self.triggers(section, configs), *section.body):
            for word in _from_words(node):
                yield word, self.input(word, section.index)


def _from_words(node: Instruction) -> Iterator[Word]:
    match node:
        case Copy(from_=Word() as word):
            yield word
        case Run(mounts=mounts):
            yield from filter(None, (mount.get("from") for mount in mounts))
        case _:
            return


def global_arguments(dockerfile: Dockerfile) -> tuple[Arg, ...]:
    """Return the ARG instructions before the first FROM."""
    found = []
    for node in dockerfile.instructions:
        if not isinstance(node, Arg):
            break
        found.append(node)
    return tuple(found)


def _sections(dockerfile: Dockerfile, scope: Mapping[str, str], contexts: Contexts) -> tuple[Section, ...]:
    nodes = dockerfile.instructions
    starts = [i for i, node in enumerate(nodes) if isinstance(node, From)]
    sections: list[Section] = []
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(nodes)
        head = nodes[start]
        if isinstance(head, From):
            stand_in = contexts.stage(head.name) if head.name else None
            if stand_in is not None:
                sections.append(Section(index=number, head=head, body=(), base=stand_in, replaced=True))
                continue
            base = _base(_Names(scope, dockerfile.escape, sections, contexts), head)
            sections.append(Section(index=number, head=head, body=nodes[start + 1 : end], base=base))
    return tuple(sections)


@dataclass(frozen=True, slots=True)
class _Names:
    """What a FROM may name."""

    scope: Mapping[str, str]
    escape: str
    earlier: list[Section]
    contexts: Contexts

    def expand(self, word: Word | None) -> str:
        return "" if word is None else expand(word, self.scope, escape=self.escape)


def _base(names: _Names, head: From) -> Input:
    text = names.expand(head.image)
    if not text:
        raise ResolveError(
            f"base name ({head.image.text}) should not be blank",
            span=head.image.span,
            hint="give the argument a default before the first FROM, or pass --build-arg",
        )
    found = _last_named(names.earlier, text)
    if found is not None:
        return FromStage(found)
    if text == "scratch":
        return FromScratch()
    context = names.contexts.image(text, names.expand(head.platform))
    if context is not None:
        return context
    guess = closest(text.lower(), [s.head.name for s in names.earlier if s.head.name])
    return replace(_image(text, head.image, guess), platform=_platform(names, head))


def _platform(names: _Names, head: From) -> str:
    """Return the platform that FROM names, in normal form; "" when it is that of the whole build."""
    if head.platform is None:
        return ""
    text = names.expand(head.platform)
    if not text:
        raise ResolveError(f"empty platform value from expression {head.platform.text}", span=head.platform.span)
    try:
        platform = str(parse_platform(text))
    except ResolveError as error:
        error.span = head.platform.span
        raise
    return "" if platform == names.scope.get("TARGETPLATFORM") else platform


def _last_named(sections: "list[Section] | tuple[Section, ...]", name: str) -> int | None:
    return next((s.index for s in reversed(sections) if s.head.name == name.lower()), None)


def _image(text: str, word: Word, guess: str | None) -> FromImage:
    try:
        return FromImage(str(parse_reference(text)))
    except InvalidReference as error:
        hint = f'did you mean the stage "{guess}"?' if guess else ""
        raise ResolveError(f'failed to parse stage name "{text}": {error}', span=word.span, hint=hint) from error
