"""The outline of a Dockerfile: its stages, what each starts from, and which stages and images a target needs.

FROM may use only global arguments, so the outline is known from the text and the request alone. Only ONBUILD triggers
of a base image can add to it later: `Outline.needs` takes the configs that are known so far, and may return more images
than before.
"""

from collections.abc import Iterator, Mapping

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.options import whole_number
from pybuild.builder.request.names import SCRATCH
from pybuild.builder.stages import triggers
from pybuild.builder.stages.contexts import Contexts
from pybuild.builder.stages.references import Finder, FromReference, references
from pybuild.builder.stages.sections import (
    Section,
    heads_of,
    image_called,
    last_named,
    sections_of,
    similar_stage,
)
from pybuild.builder.stages.stages import FromContext, FromImage, FromRemote, FromScratch, FromStage, Input
from pybuild.grammar.nodes import Arg, Dockerfile, Instruction, Onbuild, Word
from pybuild.grammar.suggest import closest
from pybuild.grammar.words.expand import expand
from pybuild.runtime.values import frozen

_SHOWN = 10
_COMMON = ("alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora", "node", "python", "nginx", "redis")


@frozen
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
        self.sections = sections_of(dockerfile, scope, self.contexts)
        declared = frozenset(name for node in global_arguments(dockerfile) for name, _ in node.items)
        self.finder = Finder(sections=self.sections, scope=scope, declared=declared, escape=self.escape)
        self.target = self._find_target(target)

    def _find_target(self, name: str | None) -> int:
        if name is None:
            return len(self.sections) - 1
        found = last_named(heads_of(self.sections), name)
        if found is None:
            found = whole_number(name, len(self.sections) - 1)
        if found is None:
            guess = similar_stage(self.sections, name)
            meant = f" (did you mean {guess}?)" if guess else ""
            names = ", ".join(s.head.name or str(s.index) for s in self.sections[:_SHOWN])
            raise ResolveError(f'target stage "{name}" could not be found{meant}', hint=f"stages: {names}")
        return found

    def input(self, word: Word | None, current: int) -> Input:
        """Return the source that ``--from=`` or ``from=`` names in section *current*; without it, the build context."""
        return self.contexts.main if word is None else self._meant(FromReference(word=word), current)

    def _meant(self, reference: FromReference, current: int) -> Input:
        found = self.finder.stage(reference, current)
        if found is not None:
            return FromStage(found)
        text = self.finder.text(reference)
        if text == SCRATCH:
            return FromScratch()
        if (context := self.contexts.image(text)) is not None:
            return context
        guess = similar_stage(self.sections[:current], text)
        return image_called(text, reference.word, guess)

    def similar(self, word: Word) -> str:
        """Return a hint for *word*, the name of an image that does not exist; "" when nothing similar is known."""
        text = expand(word, self.scope, escape=self.escape).lower()
        stage = similar_stage(self.sections, text)
        name, colon, tag = text.partition(":")
        image = closest(name, _COMMON)
        if stage is None and image:
            return f'did you mean "{image}{colon}{tag}"?'
        if stage is None and not any(section.head.image is word for section in self.sections):
            names = ", ".join(section.head.name for section in self.sections[:_SHOWN] if section.head.name)
            return f'no stage is called "{text}", so it is the name of an image; stages: {names}' if names else ""
        return f'did you mean the stage "{stage}"?' if stage else ""

    def triggers(self, section: Section, configs: Mapping[str, ImageConfig]) -> tuple[Instruction, ...]:
        """Return the parsed ONBUILD triggers of the base of *section*; a replaced section runs none."""
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
        return triggers.parsed(texts, section.head.span)

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
        for node in self.triggers(section, configs):
            with triggers.naming_trigger(node.original):
                yield from self._referred(node, section)
        for node in section.body:
            yield from self._referred(node, section)

    def _referred(self, node: Instruction, section: Section) -> Iterator[tuple[Word, Input]]:
        for reference in references(node):
            yield reference.word, self._meant(reference, section.index)


def global_arguments(dockerfile: Dockerfile) -> tuple[Arg, ...]:
    """Return the ARG instructions before the first FROM."""
    found = []
    for node in dockerfile.instructions:
        if not isinstance(node, Arg):
            break
        found.append(node)
    return tuple(found)
