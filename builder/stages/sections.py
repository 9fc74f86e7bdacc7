"""The sections of a Dockerfile: each FROM and its base, as far as text, arguments and named contexts determine it."""

from collections.abc import Mapping, Sequence

from pybuild.builder.errors import ResolveError
from pybuild.builder.platforms import parse_platform
from pybuild.builder.request.names import SCRATCH
from pybuild.builder.stages.contexts import Contexts
from pybuild.builder.stages.stages import FromImage, FromScratch, FromStage, Input
from pybuild.grammar.nodes import Dockerfile, From, Instruction, Word
from pybuild.grammar.reference import InvalidReference, parse_reference
from pybuild.grammar.suggest import closest
from pybuild.grammar.words.expand import expand, variables
from pybuild.runtime.values import frozen, positional, replace


@frozen
class Section:
    """A FROM with the instructions up to the next one."""

    index: int
    head: From
    body: tuple[Instruction, ...]
    base: Input
    replaced: bool = False
    """Whether a named context replaces the stage."""

    @property
    def label(self) -> str:
        """The name for messages: the alias, else ``stage-N``."""
        return self.head.name or f"stage-{self.index}"


def sections_of(dockerfile: Dockerfile, scope: Mapping[str, str], contexts: Contexts) -> tuple[Section, ...]:
    """Return the sections of a file, in order. Raises ResolveError and DockerfileError, with the place."""
    nodes = dockerfile.instructions
    heads = [(start, node) for start, node in enumerate(nodes) if isinstance(node, From)]
    ends = [start for start, _ in heads[1:]] + [len(nodes)]
    sections: list[Section] = []
    names = _Names(scope, dockerfile.escape, sections, contexts)
    for number, ((start, head), end) in enumerate(zip(heads, ends, strict=True)):
        text, platform = names.image(head), names.platform(head)
        stand_in = contexts.stage(head.name, platform) if head.name else None
        if stand_in is not None:
            sections.append(Section(index=number, head=head, body=(), base=stand_in, replaced=True))
            continue
        base = names.base(head, text, platform)
        sections.append(Section(index=number, head=head, body=nodes[start + 1 : end], base=base))
    return tuple(sections)


@positional
class _Names:
    """What a FROM may refer to."""

    scope: Mapping[str, str]
    escape: str
    earlier: list[Section]
    contexts: Contexts

    def image(self, head: From) -> str:
        """Return the expanded name after FROM. Raises ResolveError when it is blank."""
        text = expand(head.image, self.scope, escape=self.escape)
        if not text:
            raise ResolveError(
                f"base name ({head.image.text}) should not be blank",
                span=head.image.span,
                hint="give the argument a default before the first FROM, or pass --build-arg",
            )
        return text

    def platform(self, head: From) -> str:
        """Return the platform that FROM names, in normal form; "" when it names none."""
        if head.platform is None:
            return ""
        text = expand(head.platform, self.scope, escape=self.escape)
        if not text:
            message = f"empty platform value from expression {head.platform.text}"
            raise ResolveError(message, span=head.platform.span, hint=self._argument(head.platform))
        try:
            return str(parse_platform(text))
        except ResolveError as error:
            error.span = head.platform.span
            raise

    def base(self, head: From, text: str, platform: str) -> Input:
        """Return the base that *text* names on *platform*: an earlier stage, scratch, a named context or an image."""
        found = last_named(heads_of(self.earlier), text)
        if found is not None:
            return FromStage(found)
        if text == SCRATCH:
            return FromScratch()
        context = self.contexts.image(text, platform)
        if context is not None:
            return context
        guess = similar_stage(self.earlier, text)
        # The platform of the build is the default, so it is left out.
        other = "" if platform == self.scope.get("TARGETPLATFORM") else platform
        return replace(image_called(text, head.image, guess), platform=other)

    def _argument(self, word: Word) -> str:
        """Return a hint with the global argument that *word* probably means."""
        for name in sorted(variables(word.text, escape=self.escape) - self.scope.keys()):
            if near := closest(name, sorted(self.scope)):
                return f"did you mean ${near}?"
        return "give the argument a default before the first FROM, or pass --build-arg"


def heads_of(sections: Sequence[Section]) -> tuple[From, ...]:
    """Return the FROM of each of *sections*."""
    return tuple(section.head for section in sections)


def last_named(heads: Sequence[From], name: str) -> int | None:
    """Return the index of the last of *heads* whose stage is called *name*, ignoring case."""
    wanted = name.lower()
    return next((index for index in reversed(range(len(heads))) if heads[index].name == wanted), None)


def similar_stage(sections: Sequence[Section], text: str) -> str | None:
    """Return the name of a stage that *text* probably means, None when none is similar."""
    return closest(text.lower(), [section.head.name for section in sections if section.head.name])


def image_called(text: str, word: Word, guess: str | None) -> FromImage:
    """Return the image that *text* names; *guess* is a stage with a similar name.

    Raises:
        ResolveError: it is not a valid name of an image.
    """
    try:
        return FromImage(str(parse_reference(text)))
    except InvalidReference as error:
        hint = f'did you mean the stage "{guess}"?' if guess else image_hint(text, word)
        raise ResolveError(f'failed to parse stage name "{text}": {error}', span=word.span, hint=hint) from error


_ARCHIVES = frozenset({"oci", "oci-archive", "docker-archive", "dir"})
"""The prefixes by which other builders name archives and layouts of the host."""


def image_hint(text: str, word: Word) -> str:
    """Return the hint for *text*, which *word* expands to and which is not a valid name of an image."""
    if text.partition(":")[0] in _ARCHIVES:
        return "load it with pybuild load, or use a layout with --build-context NAME=oci-layout://DIR"
    if text != word.text:
        return f"{word.text} is not a valid name of an image after its variables are expanded"
    if text != text.lower():
        return "write the name in lower case"
    return "write it as NAME:TAG, HOST/NAME:TAG or NAME@DIGEST"
