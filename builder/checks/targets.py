"""``build --call=targets``: the stages that can be built, with the comments above them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pybuild.builder.checks.report import encoded, location
from pybuild.grammar.nodes import Dockerfile, From
from pybuild.grammar.source import Source, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTarget:
    """A stage; *base* and *platform* are as written."""

    name: str
    description: str
    base: str
    platform: str
    default: bool
    span: Span

    @property
    def title(self) -> str:
        """The name for people."""
        return f"{self.name}{' (default)' if self.default else ''}".strip()


def targets(dockerfile: Dockerfile) -> tuple[ListedTarget, ...]:
    """Return the stages of a file in order; the last one is the default."""
    heads = [node for node in dockerfile.instructions if isinstance(node, From)]
    return tuple(
        ListedTarget(
            name=node.name or "",
            description=description(node.comment, node.name or ""),
            base=node.image.text,
            platform=node.platform.text if node.platform is not None else "",
            default=node is heads[-1],
            span=node.span,
        )
        for node in heads
    )


def description(comment: str, name: str) -> str:
    """Return the description of *name* in the comment above it: the rest of the first line that begins with it."""
    lines = comment.split("\n") if name else []
    return next((line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")), "")


def document(targets: Sequence[ListedTarget], source: Source) -> dict[str, Any]:
    """Return the stages with BuildKit's field names."""
    stages = [
        {
            **({"name": target.name} if target.name else {}),
            **({"default": True} if target.default else {}),
            **({"description": target.description} if target.description else {}),
            "base": target.base,
            **({"platform": target.platform} if target.platform else {}),
            "location": location(target.span, source),
        }
        for target in targets
    ]
    return {"targets": stages, "sources": [encoded(source)]}
