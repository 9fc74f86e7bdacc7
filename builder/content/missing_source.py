"""The error for a source path of COPY that does not exist, with a hint at what may have been meant."""

import stat
from collections import deque
from collections.abc import Iterator
from itertools import accumulate, islice
from posixpath import normpath
from typing import Protocol

from pybuild.builder.errors import BuildError
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.grammar.suggest import closest
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.safepath import DirectoryEntry, Root

_LOOKED_AT = 20_000
"""The number of names that are compared for a hint. A tree may have millions."""
_SHOWN = 3
"""The number of names in a hint."""


class Searched(Protocol):
    """The tree in which the path was looked up. *where* is its name in messages."""

    root: Root
    where: str
    ignore: IgnoreFile | None

    def hides(self, path: str) -> bool:
        """Return whether the ignore file excludes *path*, or a symlink on the way to it."""

    def way(self, path: str) -> tuple[tuple[str, ...], str]:
        """Return the places of the symlinks on the way to *path*, if files may be ignored, and where the way ends."""

    def excluded(self, links: tuple[str, ...], place: str) -> str | None:
        """Return the first of *links* and *place* that the ignore file excludes, or None."""


def not_found(source: Searched, path: str) -> str:
    """Return the message of BuildKit for a missing *path*."""
    return f'failed to calculate checksum: "/{path}": not found in {source.where}'


def missing(source: Searched, path: str, exclude: IgnoreFile | None = None) -> BuildError:
    """Return the error for *path*, which does not exist, is ignored, or is excluded by ``--exclude``."""
    real = source.root.real(path)
    status = source.root.stat(path, follow=False)
    place = source.excluded(*source.way(path))
    if status is not None and place == path:
        hint = f"it is excluded by {_excluding(source, path)}"
    elif status is not None and place not in {None, real}:
        hint = f'it leads through the symlink "/{place}", excluded by {_excluding(source, place)}'
    elif exclude is not None and exclude.ignores(path.rpartition("/")[2]) and source.root.stat(path) is not None:
        hint = "it exists, but is excluded by --exclude"
    elif real != path and status is not None:
        lost = f"excluded by {_excluding(source, real)}" if place else "not there"
        hint = f'it is a symlink to "/{real}", {lost}'
    else:
        hint = _dangling(source, path) or _suggestion(source, path)
    return BuildError(not_found(source, path), hint=hint)


def explained(error: BuildError | UnsafePathError, source: Searched, path: str) -> BuildError:
    """Return *error* for the *path* of COPY, with a hint when that was to lead out: a ``..`` at the root is dropped."""
    if isinstance(error, UnsafePathError):
        # A file where a directory should be, or a loop of symlinks.
        unsafe, error = error, BuildError(not_found(source, normpath(f"/{path}").lstrip("/")), hint=str(error))
        error.__cause__ = unsafe
    relative = path.lstrip("/")
    if normpath(relative or ".").split("/")[0] == "..":
        cut = f'".." does not lead out of {source.where}, so {path} is looked up as {normpath(f"/{relative}")}'
        error.hint = f"{cut}; {error.hint}" if error.hint else cut
    return error


def _excluding(source: Searched, path: str) -> str:
    """Return a phrase for the line of the ignore file that excludes *path*."""
    rule = source.ignore.deciding(path) if source.ignore is not None else None
    if source.ignore is None or rule is None:
        return "the ignore file"
    return f'line {rule.number} of {source.ignore.name}: "{rule.text}"'


def _dangling(source: Searched, path: str) -> str:
    """Return a hint at the first directory in *path* that is a dangling symlink; "" when there is none."""
    for above in accumulate(path.split("/")[:-1], lambda parent, name: f"{parent}/{name}"):
        if source.root.stat(above, follow=False) is not None and source.root.stat(above) is None:
            return f'"/{above}" is a symlink to "/{source.root.real(above)}", which is not there'
    return ""


def _suggestion(source: Searched, path: str) -> str:
    """Return a hint with a path that *path* may have been meant to be, or with what the directory contains."""
    try:
        if meant := _behind_a_root(source, path) or _near(source, path):
            return f'did you mean "{meant}"?'
        others = _elsewhere(source, path.rpartition("/")[2])
        return f"did you mean {_either(others)}?" if others else _contents(source, path)
    except (OSError, UnsafePathError):
        # Without a hint the message is still right.
        return ""


def _either(paths: list[str]) -> str:
    *first, last = [f'"{path}"' for path in paths[:_SHOWN]] + ["another one"] * (len(paths) > _SHOWN)
    return " or ".join(filter(None, [", ".join(first), last]))


def _contents(source: Searched, path: str) -> str:
    """Return a phrase about the entries of the last directory in *path* that exists."""
    directory = ""
    for above in accumulate(path.split("/")[:-1], lambda parent, name: f"{parent}/{name}"):
        if not _is_directory(source, above) or source.hides(above):
            break
        directory = above
    where = f'"/{directory}"' if directory else source.where
    names = [entry.name + "/" * stat.S_ISDIR(entry.stat.st_mode) for _, entry in _entries(source, directory)]
    if names:
        return f"{where} contains {_listed(names)}"
    hidden = next(iter(source.root.scan(directory)), None)
    if hidden is None:
        return f"{where} is empty"
    return f"everything in {where} is excluded, by {_excluding(source, f'{directory}/{hidden.name}'.lstrip('/'))}"


def _listed(names: list[str]) -> str:
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN + 1 else []
    *first, last = (names[:_SHOWN] if more else names) + more
    return " and ".join(filter(None, [", ".join(first), last]))


def _shows(source: Searched, path: str) -> bool:
    """Return whether *path* exists and is not ignored."""
    return source.root.stat(path, follow=False) is not None and not source.hides(path)


def _entries(source: Searched, directory: str) -> Iterator[tuple[str, DirectoryEntry]]:
    """Yield the entries of *directory* that are not ignored, each with its path."""
    for entry in source.root.scan(directory):
        path = f"{directory}/{entry.name}".lstrip("/")
        if not source.hides(path):
            yield path, entry


def _behind_a_root(source: Searched, path: str) -> str | None:
    """Return the longest existing end of *path*: users write paths of the host, such as ``/home/me/project/file``."""
    names = path.split("/")
    ends = ("/".join(names[at:]) for at in range(1, len(names)))
    return next((end for end in ends if _shows(source, end)), None)


def _near(source: Searched, path: str) -> str | None:
    """Return *path* with its first missing name replaced by a similar one, if the result exists."""
    names = path.split("/")
    above = 0
    while above < len(names) - 1 and _is_directory(source, "/".join(names[: above + 1])):
        above += 1
    directory, rest = "/".join(names[:above]), names[above + 1 :]
    there = {entry.name: found for found, entry in _entries(source, directory)}
    name = closest(names[above], there)
    meant = "/".join([there[name], *rest]) if name else ""
    return meant if meant and _shows(source, meant) else None


def _is_directory(source: Searched, path: str) -> bool:
    status = source.root.stat(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _elsewhere(source: Searched, name: str) -> list[str]:
    """Return the paths of entries with this name, those nearest to the root of the tree first."""
    every = islice(_breadth_first(source), _LOOKED_AT)
    return list(islice((path for path, entry in every if entry.name == name), _SHOWN + 1))


def _breadth_first(source: Searched) -> Iterator[tuple[str, DirectoryEntry]]:
    directories = deque([""])
    while directories:
        for path, entry in _entries(source, directories.popleft()):
            yield path, entry
            if stat.S_ISDIR(entry.stat.st_mode):
                directories.append(path)


def behind_symlink(source: Searched, path: str) -> BuildError | None:
    """Return the error for a *path* below a symlink, which ``--parents`` does not follow; None for another path."""
    real = source.root.real(path)
    if real == path or source.root.stat(path) is None or source.hides(real):
        return None
    names = path.split("/")
    above = ("/".join(names[:count]) for count in range(1, len(names) + 1))
    symlink = next(name for name in above if source.root.real(name) != name)
    hint = f'"/{symlink}" is a symlink, which --parents does not follow: name "/{real}"'
    return BuildError(not_found(source, path), hint=hint)
