"""Build contexts made by tests."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def write_context(folder: Path, files: Mapping[str, str]) -> Path:
    """Write *files* (path below *folder* -> text, common indentation removed) and return *folder*."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
    return folder
