"""Stages: the Dockerfile with every name, variable and base resolved.

A `Step` is an instruction that makes a layer; other instructions only change the config and history of the stage.
Inputs are still symbolic here (a stage, an image, the build context): `builder.graph.graph.plan` turns them into edges.
"""

from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.plan.ops import Copy, Mkdir, Run
from pybuild.builder.sources.address import RemoteSource
from pybuild.grammar.source import Span
from pybuild.runtime.values import field, frozen, positional


@positional
class FromScratch:
    """The empty rootfs."""


@positional
class FromStage:
    """The result of another stage, by index."""

    index: int


@positional
class FromImage:
    """An image by its full name, for a platform of its own when FROM named one."""

    reference: str
    platform: str = ""

    @property
    def key(self) -> str:
        """The name that the image is pinned under: one reference may occur with several platforms in a build."""
        return f"{self.reference} {self.platform}".rstrip()


@positional
class FromContext:
    """A directory of the host: the build context, or a named one."""

    name: str = "context"


@positional
class FromRemote:
    """A remote source, pinned in the plan. *as_tree*: an archive is unpacked, as for a build context."""

    source: RemoteSource
    as_tree: bool = False
    span: Span | None = field(default=None, compare=False)


Input = FromScratch | FromStage | FromImage | FromContext | FromRemote


@frozen
class Step:
    """An instruction that makes a layer. *inputs* are those besides the rootfs that it changes."""

    op: Run | Copy | Mkdir
    inputs: tuple[Input, ...] = ()
    name: str
    lines: tuple[int, int] = field(compare=False)


@frozen
class Stage:
    """One stage: its base, its steps in order, and the config and history of the image that it results in."""

    index: int
    name: str
    base: Input
    base_lines: tuple[int, int]
    base_name: str
    steps: tuple[Step, ...]
    config: ImageConfig


@frozen
class Stages:
    """The stages that the target needs, by index, and the index of the target."""

    stages: tuple[Stage, ...]
    target: int
    warnings: tuple[tuple[str, int], ...] = ()
    """(message, line)."""

    def by_index(self, index: int) -> Stage:
        """Return the stage with *index* in the Dockerfile."""
        return next(stage for stage in self.stages if stage.index == index)
