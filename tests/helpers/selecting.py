"""Selecting files from a directory, for the tests of what COPY reads."""

from pathlib import Path

from pybuild.builder.content.selections import select
from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.plan.ops import Pick
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.runtime.paths.safepath import Root


def write(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def picked(directory, path, ignore="", exclude=""):
    """What *path* selects: for each group its name, whether it is a directory, and the names in it."""
    excluded = IgnoreFile.parse(exclude) if exclude else None
    with Root.open_host(directory) as root:
        source = SourceTree(root=root, ignore=IgnoreFile.parse(ignore) if ignore else None)
        groups = select(source, Pick(path=path, input=1), excluded)
        return [(group.base, group.is_directory, [item.name for item in group.items]) for group in groups]


def files_of(directory, path, **rules):
    return [name for _, _, names in picked(directory, path, **rules) for name in names]
