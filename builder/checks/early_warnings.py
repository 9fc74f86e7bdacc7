"""The warnings about a Dockerfile that cannot be built: those before its mistake, as in BuildKit."""

from pybuild.builder.checks.warnings import line_of, options_of, text_violations
from pybuild.builder.errors import BuildError
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Planning
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.lint import file_violations
from pybuild.grammar.lint.options import CheckOptions, counted
from pybuild.grammar.lint.rules import Violation
from pybuild.grammar.nodes import Dockerfile
from pybuild.grammar.source import Source


def early_warnings(file: Definition, planning: Planning) -> tuple[tuple[str, int], ...]:
    """Return the warnings, as (message, line), about a Dockerfile whose plan could not be made."""
    source = file.source
    dockerfile, mistake = file.parsed_prefix()
    try:
        options = options_of(dockerfile, planning)
    except DockerfileError:
        return ()
    if mistake is not None:
        found = violations_before(dockerfile, source, options)
    else:
        found = counted(_as_far_as_possible(dockerfile, source, planning), dockerfile, options)
    return tuple((f"{item.rule.name}: {item.message}", line_of(item, source)) for item in found)


def violations_before(dockerfile: Dockerfile, source: Source, options: CheckOptions) -> tuple[Violation, ...]:
    """Return the violations in *dockerfile*, the part of *source* that could be parsed."""
    return counted(file_violations(dockerfile, source), dockerfile, options)


def _as_far_as_possible(dockerfile: Dockerfile, source: Source, planning: Planning) -> tuple[Violation, ...]:
    found: list[Violation] = []
    try:
        found.extend(text_violations(dockerfile, source, planning))
    except (DockerfileError, BuildError):
        return tuple(found)
    return tuple(found)
