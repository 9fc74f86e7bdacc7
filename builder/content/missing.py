"""What a COPY names and its source does not have: the error, with what may have been meant."""

import stat
from typing import Protocol

from pybuild.builder.errors import BuildError
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.paths.safepath import Root


class Searched(Protocol):
    """The tree that was searched: its name for messages, and what of it does not show."""

    root: Root
    where: str

    def hides(self, path: str) -> bool:
        """Tell whether the ignore file leaves *path* out."""


def not_found(source: Searched, path: str) -> str:
    """Return the message, in BuildKit's words."""
    return f'failed to calculate checksum: "/{path}": not found in {source.where}'


def missing(source: Searched, path: str, exclude: IgnoreFile | None = None) -> BuildError:
    """Return the error for *path*, which is not there, or hidden, or left out by the patterns of ``--exclude``."""
    folder, _, name = path.rpartition("/")
    real = source.root.real(path)
    if source.hides(path):
        hint = "it is excluded by the ignore file"
    elif exclude is not None and exclude.ignores(name) and source.root.stat(path) is not None:
        hint = "it is there, and left out by --exclude"
    elif real != path and source.root.stat(path, follow=False) is not None:
        hint = f'it is a link to "/{real}", ' + ("excluded by the ignore file" if source.hides(real) else "not there")
    else:
        there = source.root.stat(folder)
        names = [entry.name for entry in source.root.scan(folder)] if there and stat.S_ISDIR(there.st_mode) else []
        hint = did_you_mean(name, names, f"{folder}/" if folder else "")
    return BuildError(not_found(source, path), hint=hint)


def behind_symlink(source: Searched, path: str) -> BuildError | None:
    """Return the error for a *path* that is there, but through a symlink, which ``--parents`` does not follow."""
    real = source.root.real(path)
    if real == path or source.root.stat(path) is None or source.hides(real):
        return None
    names = path.split("/")
    above = ("/".join(names[:count]) for count in range(1, len(names) + 1))
    symlink = next(name for name in above if source.root.real(name) != name)
    hint = f'"/{symlink}" is a symlink, which --parents does not follow: name "/{real}"'
    return BuildError(not_found(source, path), hint=hint)
