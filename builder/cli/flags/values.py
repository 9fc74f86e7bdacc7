"""Values on the command line: what an empty one means, and the types of those that need more than a string."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

_REFUSED = frozenset({"tags", "platforms", "build_args", "labels", "ulimits", "shm_size"})
"""Parameters whose empty values docker refuses, too."""


class FilePath(click.Path):
    """The path of a file; an empty one is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or None."""
        return super().convert(value, param, ctx) if value else None


class OneOf(click.Choice):  # type: ignore[type-arg] # click 8.1 knows no arguments
    """One of a few words; an empty one is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word, or None."""
        return super().convert(value, param, ctx) if value else None


def without_empty(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return *flags* with empty values as docker takes them: as if they had not been given.

    A script that passes ``--network "$NETWORK"`` relies on it.
    """
    return {name: value if name in _REFUSED else _given(value) for name, value in flags.items()}


def _given(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(item for item in value if item not in {"", None})
    return None if value == "" else value
