"""``build --check``: every check of a Dockerfile, without building anything.

Without a target every stage is checked, with one those that it needs. An image that cannot be looked up does not end
the checks: what depends on it is left out and the report says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from builder import bases
from builder.checks.from_rules import section_platform
from builder.checks.warnings import Known, options_of, refusal, stage_violations, text_violations
from builder.dockerfile import DockerfileText
from builder.errors import BuildError
from builder.machine import Machine
from builder.oci.model import ImageConfig, Platform
from builder.outline import Outline, Section
from builder.request import Request
from builder.resolve import outline_of, resolve
from builder.stages import FromImage
from grammar import parser
from grammar.errors import DockerfileError
from grammar.lint_options import Options, counted
from grammar.lint_rules import Violation
from grammar.nodes import Dockerfile
from grammar.source import Source

Mistake = DockerfileError | BuildError


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the checks found, in the order of the file; *error* is what would end a build before it begins."""

    source: Source
    options: Options = field(default_factory=Options)
    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()
    """Why some checks were left out."""
    error: Mistake | None = None

    @property
    def refusal(self) -> str:
        """What ``error=true`` makes of the violations."""
        return refusal(self.violations) if self.options.error else ""


def check(file: DockerfileText, request: Request, machine: Machine) -> Report:
    """Check a Dockerfile."""
    source = Source(file.name, file.text)
    try:
        dockerfile = parser.parse(source)
        options = options_of(dockerfile, request)
    except DockerfileError as error:
        return Report(source=source, error=error)
    search = _Search(dockerfile=dockerfile, source=source, request=request, machine=machine)
    mistake = search.run()
    return Report(
        source=source,
        options=options,
        violations=counted(search.violations, dockerfile, options),
        notes=tuple(search.missing.values()),
        error=mistake,
    )


@dataclass(slots=True, kw_only=True)
class _Search:
    dockerfile: Dockerfile
    source: Source
    request: Request
    machine: Machine
    violations: list[Violation] = field(default_factory=list)
    configs: dict[str, ImageConfig] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def run(self) -> Mistake | None:
        """Collect violations up to the first mistake, and return that."""
        try:
            self._keep(text_violations(self.dockerfile, self.source, self.request))
            outline = outline_of(self.dockerfile, self.request)
            stages = self._stages(outline)
            self._keep(stage_violations(self.request, Known(outline=outline, configs=self.configs), stages))
            if not self.missing:
                resolve(self.dockerfile, self.source, outline, self.configs, self.request)
        except (DockerfileError, BuildError) as error:
            return error
        return None

    def _keep(self, found: Iterator[Violation]) -> None:
        # One by one: what was found before a mistake is reported with it.
        for violation in found:
            self.violations.append(violation)

    def _stages(self, outline: Outline) -> frozenset[int]:
        """Return the stages to check, with the configs of their images; a trigger may bring in other stages."""
        while True:
            needed = outline.needs(self.configs).stages
            stages = needed if self.request.target else frozenset(range(len(outline.sections)))
            if not self._look_up((outline.sections[index] for index in sorted(stages)), outline):
                return stages

    def _look_up(self, sections: Iterable[Section], outline: Outline) -> bool:
        """Look up the images of *sections*; tell whether one was new."""
        new = False
        for section in sections:
            match section.base:
                case FromImage(reference, key=key) if key not in self.configs and key not in self.missing:
                    self._pin(key, reference, section_platform(section, outline, self.request))
                    new = True
                case _:
                    pass
        return new

    def _pin(self, key: str, reference: str, platform: Platform) -> None:
        try:
            self.configs[key] = bases.pin(reference, platform, self.machine, pull=self.request.pull).config
        except BuildError as error:
            self.missing[key] = f"{error}; checks that need this image are left out"
