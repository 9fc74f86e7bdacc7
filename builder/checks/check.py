"""``build --check``: every check of a Dockerfile, without building anything.

Without a target every stage is checked, with one the stages that it needs. An image that cannot be looked up does not
end the checks: those that depend on it are skipped, and the report says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pybuild.builder.checks.base_configs import BaseConfigs
from pybuild.builder.checks.early_warnings import violations_before
from pybuild.builder.checks.warnings import (
    StageFacts,
    near_misses,
    options_of,
    refusal,
    stage_violations,
    text_violations,
)
from pybuild.builder.content.context import read_ignore_text, with_surroundings
from pybuild.builder.errors import BuildError
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Request
from pybuild.builder.request.names import ENTITLEMENTS
from pybuild.builder.stages.frontend import check_frontend
from pybuild.builder.stages.outline import Outline
from pybuild.builder.stages.resolve import outline_of, resolve
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.lint.options import CheckOptions, counted
from pybuild.grammar.lint.rules import Violation
from pybuild.grammar.source import Source
from pybuild.runtime.values import replace

Mistake = DockerfileError | BuildError


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The violations, in the order of the file; *error* is a mistake that would end a build at its start."""

    source: Source
    options: CheckOptions = field(default_factory=CheckOptions)
    violations: tuple[Violation, ...] = ()
    remarks: tuple[tuple[str, int], ...] = ()
    """Warnings beyond BuildKit's rules, as (message, line). They are counted, but are no failure."""
    missing: tuple[str, ...] = ()
    """Why some checks were skipped."""
    error: Mistake | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks with their places, and why some checks were skipped."""
        return (*(f"{self.source.name}:{line}: {message}" for message, line in self.remarks), *self.missing)

    @property
    def refusal(self) -> str:
        """The error that ``error=true`` makes of the violations."""
        return refusal(self.violations) if self.options.error else ""


def check(file: Definition, request: Request, store: Store) -> CheckReport:
    """Check a Dockerfile."""
    source = file.source
    dockerfile, mistake = file.parsed_prefix()
    try:
        check_frontend(dockerfile.directives, request.planning)
        options = options_of(dockerfile, request.planning)
    except (DockerfileError, BuildError) as error:
        return CheckReport(source=source, error=error)
    if mistake is not None:
        before = violations_before(dockerfile, source, options)
        return CheckReport(source=source, options=options, violations=before, error=mistake)
    known = BaseConfigs(planning=request.planning, pull=request.caches.pull, store=store)
    search = _Search(definition=_defined(file, request), request=request, bases=known)
    found = search.run()
    return CheckReport(
        source=source,
        options=options,
        violations=counted(search.violations, dockerfile, options),
        remarks=near_misses(dockerfile, source),
        missing=tuple(f"{note}; checks that need this image are skipped" for note in known.missing.values()),
        error=found,
    )


def refuse_mistakes(definition: Definition, outline: Outline, bases: BaseConfigs, request: Request) -> None:
    """Raise the first mistake that a build finds when it expands the words of the stages, if all *bases* are known."""
    if not bases.missing:
        # Entitlements are a matter of the steps, of which none runs.
        planning = replace(request.planning, allow=frozenset(ENTITLEMENTS))
        resolve(definition.parsed(), definition.source, outline, bases.configs, planning)


def _defined(dockerfile: Definition, request: Request) -> Definition:
    """Return the whole definition; a build reports what is wrong with the ignore file."""
    try:
        ignored = read_ignore_text(request.files)
    except (BuildError, OSError):  # a check is about the Dockerfile, so a build reports this
        ignored = ""
    return with_surroundings(dockerfile, request.files, ignored)


@dataclass(slots=True, kw_only=True)
class _Search:
    definition: Definition
    request: Request
    bases: BaseConfigs
    violations: list[Violation] = field(default_factory=list)

    def run(self) -> Mistake | None:
        """Collect violations up to the first mistake, which is returned."""
        try:
            dockerfile, source = self.definition.parsed(), self.definition.source
            self._keep(text_violations(dockerfile, source, self.request.planning))
            outline = outline_of(self.definition, self.request.planning)
            # Without a target every stage is checked.
            stages = self.bases.look_up(outline, every_stage=not self.request.planning.target)
            configs = self.bases.configs
            self._keep(
                stage_violations(
                    self.definition, self.request.planning, StageFacts(outline=outline, configs=configs), stages
                )
            )
            refuse_mistakes(self.definition, outline, self.bases, self.request)
        except (DockerfileError, BuildError) as error:
            return error
        return None

    def _keep(self, found: Iterator[Violation]) -> None:
        # One by one, so that violations before a mistake are reported with it.
        for violation in found:
            self.violations.append(violation)
