"""From the text of a Dockerfile to its stages and its plan, with base images that are nothing but configs."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from pybuild.builder.content.context import with_surroundings
from pybuild.builder.graph.graph import plan
from pybuild.builder.oci.model import ContainerConfig, ImageConfig
from pybuild.builder.plan.plan import BasePin, Definition, Plan
from pybuild.builder.request import Request
from pybuild.builder.stages.outline import Outline
from pybuild.builder.stages.resolve import outline_of as resolve_outline
from pybuild.builder.stages.resolve import resolve
from pybuild.builder.stages.stages import Stage, Stages, Step
from pybuild.grammar.source import Source, Span

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DIFF_ID = "sha256:" + "1" * 64
BASE = "docker.io/library/base:latest"

Bases = Mapping[str, ImageConfig]


def base_config(**container: Any) -> ImageConfig:
    """The config of a base image without layers."""
    config = {"env": ("PATH=/bin",)} | container
    return ImageConfig(architecture="amd64", os="linux", config=ContainerConfig(**config))


def source_of(text: str) -> Source:
    """The Dockerfile that *text* is, common indentation removed."""
    return Source("Dockerfile", dedent(text).lstrip("\n"))


def outline_of(text: str, **request: Any) -> Outline:
    """The outline of a Dockerfile."""
    asked = Request.of(**{"context": Path()} | request)
    return resolve_outline(_defined(text, asked), asked.planning)


def _defined(text: str, asked: Request) -> Definition:
    source = source_of(text)
    return with_surroundings(Definition(source.name, source.text), asked.files, ignored="")


def stages_of(text: str, bases: Bases | None = None, **request: Any) -> Stages:
    """The stages that the target needs; ``base`` is an image unless *bases* says otherwise."""
    asked = Request.of(**{"context": Path()} | request)
    definition = _defined(text, asked)
    outline = resolve_outline(definition, asked.planning)
    return resolve(
        definition.parsed(), definition.source, outline, {BASE: base_config()} | dict(bases or {}), asked.planning
    )


def stage_of(text: str, bases: Bases | None = None, **request: Any) -> Stage:
    """The target of a Dockerfile."""
    stages = stages_of(text, bases, **request)
    return stages.by_index(stages.target)


def after(instructions: str, container: Mapping[str, Any] | None = None, **request: Any) -> Stage:
    """The stage that *instructions* make on an image with the settings of *container*."""
    return stage_of("FROM base\n" + dedent(instructions), {BASE: base_config(**(container or {}))}, **request)


def config_after(instructions: str, **container: Any) -> ContainerConfig:
    """The container config that *instructions* leave behind."""
    return after(instructions, container).config.config


def history_of(instructions: str, **request: Any) -> list[str]:
    """The history texts of *instructions*."""
    return [entry.created_by for entry in after(instructions, **request).config.history]


def step_of(instructions: str, **request: Any) -> Step:
    """The last step of *instructions*."""
    return after(instructions, **request).steps[-1]


def plan_of(text: str, bases: Bases | None = None, **request: Any) -> Plan:
    """The plan of a Dockerfile; all its images have the same layer."""
    stages = stages_of(text, bases, **request)
    names = {BASE, *(bases or {})}
    return plan(stages, {name: BasePin(f"sha256:{'2' * 64}", (DIFF_ID,)) for name in names})


def marked(text: str, span: Span | None) -> str:
    """The characters of a Dockerfile at which an error points."""
    assert span is not None
    return source_of(text).text[span.start : span.end]
