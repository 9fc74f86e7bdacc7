"""The configs of base images, as far as they can be looked up without building."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pybuild.builder.checks.from_rules import section_platform
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.model import ImageConfig, Platform
from pybuild.builder.request import Planning
from pybuild.builder.sources import bases
from pybuild.builder.stages.outline import Outline
from pybuild.builder.stages.sections import Section
from pybuild.builder.stages.stages import FromImage
from pybuild.builder.store.store import Store


@dataclass(slots=True, kw_only=True)
class BaseConfigs:
    """The configs of the images that stages start from. An image that cannot be looked up is *missing*, with a note."""

    planning: Planning
    pull: str
    store: Store
    configs: dict[str, ImageConfig] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def look_up(self, outline: Outline, *, every_stage: bool) -> frozenset[int]:
        """Look up the images of every stage, or of those that the target needs; return these stages.

        A trigger of an image may need other stages.
        """
        while True:
            needed = outline.needs(self.configs).stages
            stages = frozenset(range(len(outline.sections))) if every_stage else needed
            if not self._look_up((outline.sections[index] for index in sorted(stages)), outline):
                return stages

    def _look_up(self, sections: Iterable[Section], outline: Outline) -> bool:
        """Look up the images of *sections*; return whether one was new."""
        new = False
        for section in sections:
            match section.base:
                case FromImage(reference, key=key) if key not in self.configs and key not in self.missing:
                    self._pin(key, reference, section_platform(section, outline, self.planning))
                    new = True
                case _:
                    pass
        return new

    def _pin(self, key: str, reference: str, platform: Platform) -> None:
        try:
            self.configs[key] = bases.pin(reference, platform, self.store, pull=self.pull).config
        except BuildError as error:
            # A build refuses an image for another platform; a check names the rule that it breaks.
            other = bases.of_any_platform(reference, self.store)
            if other is None:
                self.missing[key] = str(error)
            else:
                self.configs[key] = other.config
