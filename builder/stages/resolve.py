"""From the syntax tree to stages, with every name, variable and base resolved. Pure: all input is passed in."""

from collections.abc import Callable, Iterable, Mapping

from pybuild.builder.oci.image import host_platform
from pybuild.builder.oci.model import ContainerConfig, ImageConfig, Platform
from pybuild.builder.plan.ops import PROXIES
from pybuild.builder.plan.plan import Definition
from pybuild.builder.platforms import parse_platform, platform_arguments, wanted_platform
from pybuild.builder.request import Planning
from pybuild.builder.stages.config import with_default_path, with_env, with_labels, without
from pybuild.builder.stages.contexts import contexts_of
from pybuild.builder.stages.instructions import Surroundings, apply
from pybuild.builder.stages.outline import Outline, global_arguments
from pybuild.builder.stages.sections import Section
from pybuild.builder.stages.stages import FromImage, FromScratch, FromStage, Stage, Stages
from pybuild.builder.stages.state import StageState
from pybuild.builder.stages.triggers import naming_trigger
from pybuild.builder.stages.windows import as_resolved, as_stored, is_windows
from pybuild.grammar import nodes
from pybuild.grammar.source import Source
from pybuild.grammar.words.display import shown
from pybuild.grammar.words.expand import expand
from pybuild.runtime.values import replace

_ALWAYS_ACCEPTED = ("BUILDKIT_", "SOURCE_DATE_EPOCH")


def global_scope(dockerfile: nodes.Dockerfile, planning: Planning) -> dict[str, str]:
    """Return the variables that FROM may use: platform arguments and the ARGs before the first FROM."""
    given = dict(planning.build_args)
    target = wanted_platform(planning.platform)
    defaults = platform_arguments(target, host_platform(), _target_stage(dockerfile, planning))
    scope = {name: given.get(name, value) for name, value in defaults.items()}
    for node in global_arguments(dockerfile):
        for name, default in node.items:
            if name in given:
                scope[name] = given[name]
            elif default is not None:
                scope[name] = expand(default, scope, escape=dockerfile.escape)
    return scope


def _target_stage(dockerfile: nodes.Dockerfile, planning: Planning) -> str:
    """Return the value of TARGETSTAGE: the target as the request names it, else the name of the last stage."""
    last = next((node for node in reversed(dockerfile.instructions) if isinstance(node, nodes.From)), None)
    return planning.target or (last and last.name) or "default"


def outline_of(definition: Definition, planning: Planning) -> Outline:
    """Return the outline of a Dockerfile with the arguments, target and contexts of *planning*."""
    dockerfile, contexts = definition.parsed(), contexts_of(definition, planning)
    return Outline(dockerfile, global_scope(dockerfile, planning), planning.target, contexts)


def resolve(
    dockerfile: nodes.Dockerfile,
    source: Source,
    outline: Outline,
    bases: Mapping[str, ImageConfig],
    planning: Planning,
) -> Stages:
    """Return the stages that the target needs. *bases* holds the config of every image that a stage starts from.

    Raises:
        DockerfileError, ResolveError: the Dockerfile is invalid; each has a span.
    """
    resolver = _Resolver(dockerfile, source, outline, bases, planning)
    needed = sorted(outline.needs(bases).stages)
    stages = tuple(resolver.stage(outline.sections[index]) for index in needed)
    triggers = [node for index in needed for node in outline.triggers(outline.sections[index], bases)]
    unused = _unused((*dockerfile.instructions, *triggers), planning, outline)
    return Stages(stages=stages, target=outline.target, warnings=unused)


def _unused(body: Iterable[nodes.Instruction], planning: Planning, outline: Outline) -> tuple[tuple[str, int], ...]:
    declared = {name for node in body if isinstance(node, nodes.Arg) for name, _ in node.items}
    declared |= set(outline.scope)
    names = [name for name, _ in planning.build_args if name not in declared]
    unused = [n for n in names if not n.startswith(_ALWAYS_ACCEPTED) and n.lower() not in PROXIES]
    if not unused:
        return ()
    return ((f"one or more build arguments were not consumed: {', '.join(unused)}", 0),)


class _Resolver:
    def __init__(
        self,
        dockerfile: nodes.Dockerfile,
        source: Source,
        outline: Outline,
        bases: Mapping[str, ImageConfig],
        planning: Planning,
    ) -> None:
        self.dockerfile, self.source, self.outline = dockerfile, source, outline
        self.bases, self.planning = bases, planning
        self.states: dict[int, StageState] = {}

    def stage(self, section: Section) -> Stage:
        state = self._start(section)
        triggers = self.outline.triggers(section, self.bases)
        if triggers:
            # Triggers run once: they are not in the image that they helped to make.
            state.configure(replace(state.config, on_build=()))
        body = (*triggers, *section.body)
        around = self._surroundings(section, body)
        for node in triggers:
            with naming_trigger(node.original):
                apply(replace(node, original=f"ONBUILD {node.original}"), state, around)
        for node in section.body:
            apply(node, state, around)
        self.states[section.index] = state
        return Stage(
            index=section.index,
            name=section.label,
            base=section.base,
            base_lines=self._lines(section.head),
            base_name=self._prefix(section, body)() + self._from(section),
            steps=tuple(state.steps),
            config=as_stored(self._labelled(state.finished(), section)),
        )

    def _from(self, section: Section) -> str:
        """Return the text of FROM for displays, with the image that it resolves to, perhaps by a named context."""
        if isinstance(section.base, FromImage):
            return f"FROM {section.base.reference}"
        return shown(section.head.original, self.outline.scope, escape=self.dockerfile.escape)

    def _labelled(self, image: ImageConfig, section: Section) -> ImageConfig:
        # --label and the like are about the image that is built, not about stages below it.
        if section.index != self.outline.target:
            return image
        config = without(image.config, self.planning.unset_env, self.planning.unset_labels)
        return replace(
            image, config=with_labels(config, dict(self.planning.labels)) if self.planning.labels else config
        )

    def _start(self, section: Section) -> StageState:
        match section.base:
            case FromStage(index):
                return self.states[index].copy()
            case FromImage(key=key):
                image = replace(self.bases[key], created="")
            case _:
                image = _empty_image(self._platform(section))
        config = as_resolved(image.config) if is_windows(image) else with_default_path(image.config)
        for name, value in self.planning.environment:
            config = with_env(config, name, value)
        if config.working_dir and not config.working_dir.startswith("/"):
            config = replace(config, working_dir="/" + config.working_dir)
        return StageState(replace(image, config=config), self.dockerfile.escape)

    def _platform(self, section: Section) -> Platform:
        """Return the platform of a base whose config has none; scratch has that of the build."""
        word = section.head.platform
        if word is None or isinstance(section.base, FromScratch):
            return wanted_platform(self.planning.platform)
        return parse_platform(expand(word, self.outline.scope, escape=self.dockerfile.escape))

    def _surroundings(self, section: Section, body: tuple[nodes.Instruction, ...]) -> Surroundings:
        prefix = self._prefix(section, body)
        if isinstance(section.base, FromImage):
            prefix()
        return Surroundings(
            planning=self.planning,
            globals=self.outline.scope,
            build_args=dict(self.planning.build_args),
            input=lambda word: self.outline.input(word, section.index),
            prefix=prefix,
            lines=self._lines,
        )

    def _prefix(self, section: Section, body: tuple[nodes.Instruction, ...]) -> Callable[[], str]:
        """Return a function that gives ``[stage 1/5] ``, ``[stage 2/5] `` and so on."""
        layered = nodes.Run | nodes.Copy | nodes.Add | nodes.Workdir
        total = sum(isinstance(node, layered) for node in body) + isinstance(section.base, FromImage)
        name = f"{section.label} " if section.head.name or len(self.outline.sections) > 1 else ""
        numbers = iter(range(1, total + 1))
        return lambda: f"[{name}{next(numbers, total):{len(str(total))}d}/{total}] "

    def _lines(self, node: nodes.Instruction) -> tuple[int, int]:
        lines = self.source.lines(node.span)
        return lines.start, lines.stop - 1


def _empty_image(platform: Platform) -> ImageConfig:
    return ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        # BuildKit's scratch has this working directory, too.
        config=ContainerConfig(working_dir="/"),
    )
