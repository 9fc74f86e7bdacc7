"""Types of values on the command line that need more than a string."""

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
