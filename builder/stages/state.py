"""The state of one stage while its instructions are resolved."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pybuild.builder.oci.model import ContainerConfig, History, ImageConfig
from pybuild.builder.stages.config import split_env, with_labels
from pybuild.builder.stages.windows import is_windows, posix_path
from pybuild.grammar.nodes import Word
from pybuild.grammar.words.expand import expand
from pybuild.runtime.values import replace

if TYPE_CHECKING:
    from pybuild.builder.stages.stages import Step

COMMENT = "buildkit.dockerfile.v0"
"""Comment of every history entry; image tools recognise it."""


class StageState:
    """Config, scope and steps so far. One object per stage; a stage built on it starts from a `copy`."""

    def __init__(self, image: ImageConfig, escape: str) -> None:
        """Begin a stage on *image*."""
        self.image, self.escape = image, escape
        self.scope = split_env(image.config.env)
        """The variables for expansion and for RUN: ENV and ARG, of which the later one wins."""
        self.arguments: dict[str, str | None] = {}
        """The ARGs declared so far, for the history of RUN."""
        self.steps: list[Step] = []
        self.cmd_is_set = False
        # Apart from the config, which is copied by each change: there may be thousands of them.
        self.labels: dict[str, str] = {}
        self.entries: list[History] = []

    def copy(self) -> "StageState":
        """Return the state in which a stage on top of this one begins."""
        made = StageState(self.finished(), self.escape)
        # The ENV of the image applies again: an ARG overrides an earlier ENV in its own stage only.
        made.scope = self.scope | made.scope
        made.arguments = dict(self.arguments)
        return made

    def finished(self) -> ImageConfig:
        """Return the config of the image that all instructions so far make."""
        config = with_labels(self.config, self.labels) if self.labels else self.config
        return replace(self.image, config=config, history=(*self.image.history, *self.entries))

    @property
    def config(self) -> ContainerConfig:
        """The container config so far."""
        return self.image.config

    def configure(self, config: ContainerConfig) -> None:
        """Replace the container config."""
        self.image = replace(self.image, config=config)

    def expand(self, word: Word) -> str:
        """Return *word* with this stage's variables in it."""
        return expand(word, self.scope, escape=self.escape)

    def path(self, text: str) -> str:
        """Return a path of the image, or of a source of COPY, with slashes. Raises ResolveError."""
        return posix_path(text) if is_windows(self.image) else text

    def record(self, text: str, *, layer: bool = False) -> None:
        """Add a history entry; its time is filled in when the image is assembled."""
        self.entries.append(History(created_by=text, comment=COMMENT, empty_layer=not layer))

    def used_arguments(self) -> Mapping[str, str]:
        """Return the declared arguments that have a value, with the value that RUN sees."""
        return {name: self.scope.get(name, value or "") for name, value in self.arguments.items()}
