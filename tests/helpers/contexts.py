"""Build contexts made by tests."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def write_context(directory: Path, files: Mapping[str, str]) -> Path:
    """Write *files* (path below *directory* -> text, common indentation removed) and return *directory*."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
    return directory
