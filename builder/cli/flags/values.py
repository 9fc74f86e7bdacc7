"""Values on the command line: what an empty one means, and the types of those that need more than a string."""

from pathlib import Path
from typing import Any

import click


class FilePath(click.Path):
    """The path of a file; an empty one counts as not given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or None."""
        return super().convert(value, param, ctx) if value else None


class OneOf(click.Choice):  # type: ignore[type-arg] # click 8.1 knows no arguments
    """One of a few words; an empty one counts as not given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word, or None."""
        return super().convert(value, param, ctx) if value else None


def given(value: Any) -> Any:
    """Return *value*; an empty one counts as not given, as in docker.

    A script that passes ``--network "$NETWORK"`` relies on it.
    """
    if isinstance(value, tuple):
        return tuple(item for item in value if item not in {"", None})
    return None if value == "" else value
