"""Planning from scratch, when no plan is remembered."""

from pybuild.builder.checks.warnings import StageFacts, near_misses, planned_warnings
from pybuild.builder.errors import BuildError
from pybuild.builder.graph.planner_process import GraphProcess
from pybuild.builder.image.assemble import timestamp
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.plan.plan import BasePin, Definition, Plan
from pybuild.builder.platforms import claimed, wanted_platform
from pybuild.builder.request import Planning
from pybuild.builder.sources import bases
from pybuild.builder.sources.address import RemoteSource
from pybuild.builder.sources.pins import Remotes, pin_name, pin_of
from pybuild.builder.stages.frontend import check_frontend
from pybuild.builder.stages.outline import Outline
from pybuild.builder.stages.resolve import outline_of, resolve
from pybuild.builder.stages.stages import FromRemote, Stages
from pybuild.grammar.source import Span
from pybuild.runtime.values import replace


def make_new_plan(
    definition: Definition, planning: Planning, remotes: Remotes, graphs: GraphProcess, *, pull: str = "missing"
) -> Plan:
    """Parse, pin, resolve and plan. Raises DockerfileError and BuildError with the span of the mistake."""
    source = definition.source
    graphs.parse()
    dockerfile, mistake = definition.parsed_prefix()
    # Before the mistake: a file in the language of another frontend is one mistake after the other.
    check_frontend(dockerfile.directives, planning)
    if mistake is not None:
        raise mistake
    outline = outline_of(definition, planning)
    pinned = _pin_bases(outline, planning.platform, remotes, pull=pull)
    configs = {reference: pin.config for reference, pin in pinned.items()}
    stages = resolve(dockerfile, source, outline, configs, planning)
    found, refusal = planned_warnings(definition, planning, StageFacts(outline=outline, configs=configs))
    pins = {
        reference: BasePin(pin.manifest, tuple(str(diff_id) for diff_id in pin.config.diff_ids))
        for reference, pin in pinned.items()
    }
    config = claimed(stages.by_index(stages.target).config, planning.platform)
    sources = remote_sources(stages)
    return replace(
        graphs.plan(stages, pins, _pin_remotes(sources, remotes)),
        created=timestamp(),
        config=replace(config, diff_ids=()).to_json().decode(),
        pins=(
            *((reference, pin.manifest) for reference, pin in sorted(pinned.items())),
            *((name, pin_of(remotes.pin(source))) for source in sources if (name := pin_name(source))),
        ),
        warnings=(*stages.warnings, *near_misses(dockerfile, source), *found),
        refusal=refusal,
    )


def remote_sources(stages: Stages) -> dict[RemoteSource, Span | None]:
    """Return the remote sources of the stages, each with the span of its first use."""
    found: dict[RemoteSource, Span | None] = {}
    for stage in stages.stages:
        for item in (stage.base, *(source for step in stage.steps for source in step.inputs)):
            if isinstance(item, FromRemote):
                found.setdefault(item.source, item.span)
    return found


def _pin_remotes(sources: dict[RemoteSource, Span | None], remotes: Remotes) -> dict[RemoteSource, Http | Git]:
    remotes.pin_all(sources)
    pinned = {}
    for source, span in sources.items():
        try:
            pinned[source] = remotes.pin(source)
        except BuildError as error:
            error.span = error.span or span
            raise
    return pinned


def _pin_bases(
    outline: Outline, target_platform: str | None, remotes: Remotes, *, pull: str
) -> dict[str, bases.Pinned]:
    """Pin every image that the target needs. Triggers of an image may need others, so repeat until none is new."""
    pinned: dict[str, bases.Pinned] = {}
    while True:
        needs = outline.needs({key: pin.config for key, pin in pinned.items()})
        missing = [key for key in needs.images if key not in pinned]
        if not missing:
            return pinned
        for key in missing:
            reference, _, platform = key.partition(" ")
            wanted = wanted_platform(platform or target_platform)
            try:
                context = outline.contexts.name_of(reference)
                pinned[key] = bases.pin(reference, wanted, remotes.store, remotes.reporter, pull=pull, context=context)
            except BuildError as error:
                word = needs.images[key]
                error.span = error.span or word.span
                error.hint = outline.similar(word) or error.hint
                raise
