"""The warnings about a Dockerfile that cannot be built: those before its mistake, as in BuildKit."""

from collections.abc import Iterator
from contextlib import suppress

from pybuild.builder.checks.warnings import StageFacts, line_of, options_of, stage_violations, text_violations
from pybuild.builder.errors import BuildError
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Planning
from pybuild.builder.stages.resolve import outline_of
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.lint import file_violations
from pybuild.grammar.lint.options import CheckOptions, counted
from pybuild.grammar.lint.rules import Violation
from pybuild.grammar.nodes import Dockerfile
from pybuild.grammar.source import Source, Span


def early_warnings(file: Definition, planning: Planning, place: Span | None = None) -> tuple[tuple[str, int], ...]:
    """Return the warnings, as (message, line), about a Dockerfile whose plan could not be made.

    *place* is that of a mistake in an instruction, None when the stages were not reached.
    """
    source = file.source
    dockerfile, mistake = file.parsed_prefix()
    try:
        options = options_of(dockerfile, planning)
    except DockerfileError:
        return ()
    if mistake is not None:
        found = violations_before(dockerfile, source, options)
    else:
        found = counted(_as_far_as_possible(file, dockerfile, planning, place), dockerfile, options)
    return tuple((f"{item.rule.name}: {item.message}", line_of(item, source)) for item in found)


def violations_before(dockerfile: Dockerfile, source: Source, options: CheckOptions) -> tuple[Violation, ...]:
    """Return the violations in *dockerfile*, the part of *source* that could be parsed."""
    return counted(file_violations(dockerfile, source), dockerfile, options)


def _as_far_as_possible(
    file: Definition, dockerfile: Dockerfile, planning: Planning, place: Span | None
) -> tuple[Violation, ...]:
    found: list[Violation] = []
    with suppress(DockerfileError, BuildError):
        found.extend(text_violations(dockerfile, file.source, planning))
        if place is not None:
            found.extend(_in_stages(file, planning, place))
    return tuple(found)


def _in_stages(file: Definition, planning: Planning, place: Span) -> Iterator[Violation]:
    """Yield the violations in the stages before *place*. What depends on base images is left out."""
    known = StageFacts(outline=outline_of(file, planning), configs={})
    for item in stage_violations(file, planning, known, known.outline.needs({}).stages):
        if item.span.start < place.start:
            yield item
