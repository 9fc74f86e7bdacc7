"""Restores the symlinks of the source root where an archive format has lost them; pyproject.toml says the rest.

The package is ``.src/pybuild``, whose subpackages are symlinks to the directories of the repository. pip unpacks zip
archives without symlinks: in place of each it writes a file that holds the target.
"""

from pathlib import Path

from setuptools import setup

for name in ("builder", "grammar", "runtime"):
    link = Path(__file__).parent / ".src" / "pybuild" / name
    if link.is_file():
        link.unlink()
        link.symlink_to(Path("..", "..", name))

setup()
