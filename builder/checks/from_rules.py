"""The checks of FROM: its variables and its image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from pybuild.builder.checks.variables import Guesses, names_in
from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.model import ImageConfig, Platform
from pybuild.builder.platforms import parse_platform, wanted_platform
from pybuild.builder.request import Planning
from pybuild.builder.stages.outline import Outline, global_arguments
from pybuild.builder.stages.resolve import global_scope
from pybuild.builder.stages.sections import Section, image_hint, last_named
from pybuild.builder.stages.stages import FromImage
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint import rules
from pybuild.grammar.lint.rules import Rule, Violation
from pybuild.grammar.nodes import Dockerfile, From, Word
from pybuild.grammar.parse_go import quote
from pybuild.grammar.reference import InvalidReference, parse_reference
from pybuild.grammar.words.expand import expand
from pybuild.runtime.values import frozen, replace

_TARGET = "TARGETPLATFORM"


@frozen
class Head:
    """A FROM with the variables of its scope."""

    node: From
    scope: Mapping[str, str]
    declared: frozenset[str]
    """The names of the scope and those of global ARGs that have no value."""
    defaults: Mapping[str, str] | None
    """The scope without build arguments; None when a default is malformed that a build argument replaces."""
    escape: str
    guesses: Guesses
    earlier: Sequence[From]

    def broken(self, rule: Rule, message: str, hint: str = "") -> Violation:
        """Return the violation of *rule* by this FROM."""
        return Violation(rule=rule, message=message, span=self.node.span, hint=hint)


HeadRule = Callable[[Head], Iterator[Violation]]


def from_violations(dockerfile: Dockerfile, planning: Planning) -> Iterator[Violation]:
    """Yield the violations of the FROM lines of a file.

    Raises:
        DockerfileError: a default of a global ARG is malformed.
    """
    scope = global_scope(dockerfile, planning)
    defaults = _defaults(dockerfile, planning)
    declared = frozenset({name for node in global_arguments(dockerfile) for name, _ in node.items} | scope.keys())
    guesses = Guesses()
    nodes = [node for node in dockerfile.instructions if isinstance(node, From)]
    for number, node in enumerate(nodes):
        head = Head(
            node=node,
            scope=scope,
            declared=declared,
            defaults=defaults,
            escape=dockerfile.escape,
            guesses=guesses,
            earlier=nodes[:number],
        )
        for rule in _RULES:
            with suppress(DockerfileError):
                yield from rule(head)


def _defaults(dockerfile: Dockerfile, planning: Planning) -> Mapping[str, str] | None:
    with suppress(DockerfileError):
        return global_scope(dockerfile, replace(planning, build_args=()))
    return None


def _invalid_default_arg_in_from(head: Head) -> Iterator[Violation]:
    if head.defaults is None:
        return
    image = head.node.image
    text = expand(image, head.defaults, escape=head.escape)
    if last_named(head.earlier, text) is not None:
        return
    try:
        parse_reference(text)
    except InvalidReference:
        message = f"Default value for ARG {image.text} results in empty or invalid base image name"
        names = ", ".join(names_in(image, head.escape))
        hint = f"give ARG {names} a default before the first FROM" if names else image_hint(text, image)
        yield head.broken(rules.INVALID_DEFAULT_ARG_IN_FROM, message, hint)


def _undefined_arg_in_from(head: Head) -> Iterator[Violation]:
    words = [word for word in (head.node.image, head.node.platform) if word is not None]
    for name in dict.fromkeys(name for word in words for name in names_in(word, head.escape)):
        if name in head.declared:
            continue
        near = head.guesses.closest(name, sorted(head.declared))
        guess = f" (did you mean {near}?)" if near else ""
        hint = f"write ${near}" if near else f"write ARG {name}=... before the first FROM"
        yield head.broken(rules.UNDEFINED_ARG_IN_FROM, f"FROM argument '{name}' is not declared{guess}", hint)


def _redundant_target_platform(head: Head) -> Iterator[Violation]:
    word = head.node.platform
    if word is None or names_in(word, head.escape) != [_TARGET]:
        return
    if expand(word, head.scope, escape=head.escape) == head.scope[_TARGET]:
        message = f"Setting platform to predefined {word.text} in FROM is redundant as this is the default behavior"
        yield head.broken(rules.REDUNDANT_TARGET_PLATFORM, message, f"remove --platform={word.text}")


def _from_platform_flag_const_disallowed(head: Head) -> Iterator[Violation]:
    word = head.node.platform
    if word is None or names_in(word, head.escape):
        return
    text = expand(word, head.scope, escape=head.escape)
    with suppress(ResolveError):
        platform = parse_platform(text)
        name = head.node.name or ""
        # A stage that is named after a platform uses that one on purpose.
        if platform.os not in name and platform.architecture not in name:
            message = f"FROM --platform flag should not use constant value {quote(text)}"
            hint = f"remove it and build with --platform {text}, or name the stage after the platform"
            yield head.broken(rules.FROM_PLATFORM_FLAG_CONST_DISALLOWED, message, hint)


_RULES: tuple[HeadRule, ...] = (
    _invalid_default_arg_in_from,
    _undefined_arg_in_from,
    _redundant_target_platform,
    _from_platform_flag_const_disallowed,
)


def base_violations(
    section: Section, outline: Outline, configs: Mapping[str, ImageConfig], planning: Planning
) -> Iterator[Violation]:
    """Yield InvalidBaseImagePlatform when the image of *section* is for another platform than requested."""
    if not isinstance(section.base, FromImage) or section.base.key not in configs:
        return
    config = configs[section.base.key]
    try:
        expected = section_platform(section, outline, planning)
    except ResolveError:
        return
    if config.diff_ids and (config.os, config.architecture) != (expected.os, expected.architecture):
        actual = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
        image = _text(section.head.image, outline)
        mismatch = f"was pulled with platform {quote(str(actual))}, expected {quote(str(expected))} for current build"
        hint = f"use an image for {expected}, or build with --platform {actual}"
        yield Violation(
            rule=rules.INVALID_BASE_IMAGE_PLATFORM,
            message=f"Base image {image} {mismatch}",
            span=section.head.span,
            hint=hint,
        )


def section_platform(section: Section, outline: Outline, planning: Planning) -> Platform:
    """Return the platform that the image of *section* should have. Raises ResolveError for an invalid one."""
    if section.head.platform is not None:
        return parse_platform(_text(section.head.platform, outline))
    return wanted_platform(planning.platform)


def _text(word: Word, outline: Outline) -> str:
    return expand(word, outline.scope, escape=outline.escape)
