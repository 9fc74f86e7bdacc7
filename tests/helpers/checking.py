"""The checks of a Dockerfile on base images that are nothing but configs, and what they found as text."""

from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

from pybuild.builder.checks.warnings import StageFacts, line_of, warnings
from pybuild.builder.content.context import read_ignore_text, with_surroundings
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Request
from pybuild.builder.stages.outline import Outline
from pybuild.builder.stages.resolve import global_scope
from pybuild.grammar.lint.rules import Violation
from pybuild.grammar.source import Source
from tests.helpers.resolving import base_config

_LAYERS = (Digest.of(b"layer"),)

BASES = {
    "docker.io/library/base:latest": base_config(env=("PATH=/bin", "FROM_BASE=1")),
    "docker.io/library/with-shell:latest": base_config(shell=("/bin/bash", "-c")),
    "docker.io/library/with-triggers:latest": base_config(on_build=("ENV a b", "CMD on build", "COPY $undefined /x")),
    "docker.io/library/arm:latest": ImageConfig(architecture="arm", os="linux", variant="v7", diff_ids=_LAYERS),
    "docker.io/library/arm:latest linux/386": ImageConfig(
        architecture="arm", os="linux", variant="v7", diff_ids=_LAYERS
    ),
}


def violations_of(source: Source, context: Path, **request: Any) -> tuple[Violation, ...]:
    """The violations in all stages of a Dockerfile."""
    asked = Request.of(context=context, **({"platform": "linux/amd64"} | request))
    ignored = ""
    with suppress(BuildError):
        ignored = read_ignore_text(asked.files)
    definition = with_surroundings(Definition(source.name, source.text), asked.files, ignored)
    dockerfile = definition.parsed()
    outline = Outline(dockerfile, global_scope(dockerfile, asked.planning), asked.planning.target)
    known = StageFacts(outline=outline, configs=BASES)
    return warnings(definition, asked.planning, known, range(len(outline.sections)))


def shown(source: Source, found: tuple[Violation, ...]) -> str:
    """Violations as the golden files have them."""
    return "".join(
        f"{line_of(item, source)}: {item.rule.name}: {item.message}\n   hint: {item.hint}\n" for item in found
    )


def checked(text: str, context: Path = Path("/nonexistent"), **request: Any) -> list[str]:
    """The violations in *text*, one line each without its hint."""
    source = Source("Dockerfile", dedent(text).lstrip("\n"))
    found = violations_of(source, context, **request)
    return [f"{line_of(item, source)}: {item.rule.name}: {item.message}" for item in found]
