"""``build --call=subrequests.describe``: the methods of ``--call``, with BuildKit's names."""

from dataclasses import dataclass
from typing import Any

_PREFIX = "frontend."
_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subrequest:
    """A method with its *options* and the formats of its *results*."""

    name: str
    description: str
    options: tuple[tuple[str, str], ...] = ()
    results: tuple[str, ...] = ("result.json", "result.txt")


SUBREQUESTS = (
    Subrequest(
        name="outline",
        description="List all parameters current build target supports",
        options=(("target", "Target build stage"),),
    ),
    Subrequest(name="targets", description="List all targets current build supports"),
    Subrequest(
        name="lint", description="Lint a Dockerfile", results=("result.json", "result.txt", "result.statuscode")
    ),
    Subrequest(name="subrequests.describe", description="List available subrequest types"),
)


def rows() -> list[list[str]]:
    """Return name, version and description of each method."""
    return [[item.name, _VERSION, item.description] for item in SUBREQUESTS]


def document() -> list[dict[str, Any]]:
    """Return the methods as BuildKit describes them."""
    return [
        {
            "name": _PREFIX + item.name,
            "version": _VERSION,
            "type": "rpc",
            "description": item.description,
            "opts": [{"name": name, "description": text} for name, text in item.options],
            "inputs": None,
            "metadata": [{"name": name, "description": ""} for name in item.results],
            "refs": None,
        }
        for item in SUBREQUESTS
    ]
