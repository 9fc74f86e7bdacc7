"""Stages: the Dockerfile with every name, variable and base settled.

A `Step` is an instruction that makes a layer; instructions that only change the config leave their mark in the stage's
config and history. Inputs are still symbolic here (a stage, an image, the build context): `graph.plan` turns them into
edges.
"""

from dataclasses import dataclass, field

from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.plan.ops import Copy, Mkdir, Run
from pybuild.builder.sources.address import RemoteSource
from pybuild.grammar.source import Span


@dataclass(frozen=True, slots=True)
class FromScratch:
    """The empty root."""


@dataclass(frozen=True, slots=True)
class FromStage:
    """The result of another stage, by index."""

    index: int


@dataclass(frozen=True, slots=True)
class FromImage:
    """An image by its full name, for a platform of its own when FROM named one."""

    reference: str
    platform: str = ""

    @property
    def key(self) -> str:
        """What the image is pinned under: one reference may stand for several platforms in one build."""
        return f"{self.reference} {self.platform}".rstrip()


@dataclass(frozen=True, slots=True)
class FromContext:
    """A directory of the host: the build context, or a named one."""

    name: str = "context"


@dataclass(frozen=True, slots=True)
class FromRemote:
    """Something from the network; pinned in the plan. *as_tree*: an archive is unpacked, as for a build context."""

    source: RemoteSource
    as_tree: bool = False
    span: Span | None = field(default=None, compare=False)


Input = FromScratch | FromStage | FromImage | FromContext | FromRemote


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An instruction that makes a layer. *inputs* are those beside the root that it changes."""

    op: Run | Copy | Mkdir
    inputs: tuple[Input, ...] = ()
    name: str
    lines: tuple[int, int] = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: what it starts from, its steps in order, and the config and history of the image that it would be."""

    index: int
    name: str
    base: Input
    base_lines: tuple[int, int]
    base_name: str
    steps: tuple[Step, ...]
    config: ImageConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages that the target needs, by index, and the index of the target."""

    stages: tuple[Stage, ...]
    target: int
    warnings: tuple[tuple[str, int], ...] = ()
    """(message, line)."""

    def by_index(self, index: int) -> Stage:
        """Return the stage that stands at *index* in the Dockerfile."""
        return next(stage for stage in self.stages if stage.index == index)
