"""All checks of one Dockerfile, as selected by its ``check`` directive."""

from collections.abc import Iterable, Iterator, Mapping

from pybuild.builder.checks.from_rules import base_violations, from_violations
from pybuild.builder.checks.scope import Globals, StageScope
from pybuild.builder.checks.stage_rules import check_stage
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Planning
from pybuild.builder.stages.outline import Outline
from pybuild.builder.stages.sections import Section
from pybuild.builder.stages.stages import FromImage, FromStage
from pybuild.grammar.dockerfile.near_miss import near_miss
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.grammar.lint.lint import file_violations
from pybuild.grammar.lint.options import CheckOptions, counted, file_options
from pybuild.grammar.lint.rules import Violation
from pybuild.grammar.nodes import Dockerfile
from pybuild.grammar.source import Source
from pybuild.runtime.values import frozen, replace

BUILD_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
"""The build argument that overrides the ``check`` directive."""

_TRIGGER = "the instruction is an ONBUILD trigger of the base"


@frozen
class StageFacts:
    """What the checks know besides the text: the stages, and the configs of base images by full name."""

    outline: Outline
    configs: Mapping[str, ImageConfig]


def options_of(dockerfile: Dockerfile, planning: Planning) -> CheckOptions:
    """Return the selection of checks. Raises DockerfileError when the directive is malformed."""
    return file_options(dockerfile, dict(planning.build_args).get(BUILD_ARGUMENT) or None)


def warnings(
    definition: Definition, planning: Planning, known: StageFacts, stages: Iterable[int]
) -> tuple[Violation, ...]:
    """Return the selected violations, in the order of the file: those of all FROM lines, and in *stages*.

    Raises:
        DockerfileError: the ``check`` directive is malformed.
    """
    dockerfile, source = definition.parsed(), definition.source
    options = options_of(dockerfile, planning)
    found = [*text_violations(dockerfile, source, planning), *stage_violations(definition, planning, known, stages)]
    return counted(found, dockerfile, options)


def text_violations(dockerfile: Dockerfile, source: Source, planning: Planning) -> Iterator[Violation]:
    """Yield the violations that depend on the text and the build arguments only."""
    yield from file_violations(dockerfile, source)
    yield from from_violations(dockerfile, planning)


def stage_violations(
    definition: Definition, planning: Planning, known: StageFacts, stages: Iterable[int]
) -> Iterator[Violation]:
    """Yield the violations in *stages*; stages that they are built on are followed, but not reported."""
    outline, wanted, ignore = known.outline, frozenset(stages), _ignore_file(definition)
    around = Globals(scope=outline.scope, build_args=dict(planning.build_args), escape=outline.escape)
    scopes: dict[int, StageScope] = {}
    for section in outline.sections:
        scope = scopes[section.index] = _start(section, scopes, around, known.configs)
        body = (*outline.triggers(section, known.configs), *section.body)
        found = tuple(check_stage(body, scope, ignore))
        if section.index in wanted:
            yield from base_violations(section, outline, known.configs, planning)
            # The span of a trigger is that of the FROM that it comes with.
            yield from (replace(item, hint=_TRIGGER) if item.span == section.head.span else item for item in found)


def _start(
    section: Section, scopes: Mapping[int, StageScope], around: Globals, configs: Mapping[str, ImageConfig]
) -> StageScope:
    match section.base:
        case FromStage(index):
            return scopes[index].copy()
        case FromImage(key=key):
            return StageScope(around, configs.get(key))
        case _:
            return StageScope(around, ImageConfig(architecture="", os=""))


def near_misses(dockerfile: Dockerfile, source: Source) -> tuple[tuple[str, int], ...]:
    """Return remarks, as (message, line), on what does not mean what it looks like. BuildKit has none of them."""
    found = ((near_miss(node.original), source.position(node.span.start)[0]) for node in dockerfile.instructions)
    return tuple((message, line) for message, line in found if message)


def _ignore_file(definition: Definition) -> IgnoreFile | None:
    """Return the ignore file of the context. Errors are ignored here, because the build reports them."""
    try:
        return IgnoreFile.parse(definition.ignored) if definition.ignored else None
    except DockerfileError:
        return None


def planned_warnings(
    definition: Definition, planning: Planning, known: StageFacts
) -> tuple[tuple[tuple[str, int], ...], str]:
    """Return the warnings of a build as (message, line), and why it must not continue, "" when it may.

    Raises:
        DockerfileError: the ``check`` directive is malformed.
    """
    dockerfile, source = definition.parsed(), definition.source
    found = warnings(definition, planning, known, known.outline.needs(known.configs).stages)
    lines = tuple((f"{item.rule.name}: {item.message}", line_of(item, source)) for item in found)
    return lines, refusal(found) if options_of(dockerfile, planning).error else ""


def refusal(violations: Iterable[Violation]) -> str:
    """Return the error that ``error=true`` makes of *violations*, "" when nothing was found."""
    names = ", ".join(dict.fromkeys(violation.rule.name for violation in violations))
    return f"lint violation found for rules: {names}" if names else ""


def line_of(violation: Violation, source: Source) -> int:
    """Return the line of the Dockerfile that is reported for *violation*."""
    return source.position(violation.span.start)[0]
