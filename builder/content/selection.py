"""Selecting files from a source tree: what COPY, ADD and bind mounts read."""

import os
import stat
from collections.abc import Iterator
from itertools import takewhile
from posixpath import normpath
from typing import TYPE_CHECKING

from pybuild.builder.content.source_tree import Group, Item, SourceTree, group_at, hides_directory
from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Inline, Pick
from pybuild.runtime.errors import UnsafePathError

if TYPE_CHECKING:
    from pybuild.grammar.ignorefile import IgnoreFile

_WILDCARDS = frozenset("*?[")


def select(
    source: SourceTree, pick: Pick, exclude: "IgnoreFile | None" = None, *, parents: bool = False
) -> list[Group]:
    """Return the groups that *pick* selects. A pattern without a match selects none.

    With *parents* a group keeps the directories above what is selected (COPY --parents).

    Raises:
        BuildError: a path without wildcards is missing or ignored, or a pattern is malformed.
    """
    try:
        if parents:
            from pybuild.builder.content.parents import with_parents

            return with_parents(source, pick.path, exclude)
        return _selected(source, pick.path, exclude)
    except (UnsafePathError, BuildError) as error:
        from pybuild.builder.content.missing import explained

        found = explained(error, source, pick.path)
        raise found from found.__cause__


def _selected(source: SourceTree, pick: str, exclude: "IgnoreFile | None") -> list[Group]:
    path = normpath("/" + pick).lstrip("/")
    groups = []
    pattern = _has_wildcard(path)
    for found in _matches(source, path) if pattern else (path,):
        group = group_at(source, found, exclude)
        if group is None and (not pattern or _leads_nowhere(source, found)):
            raise _missing(source, found, exclude)
        if group is not None:
            groups.append(group)
    if not groups:
        _need_directory_of(source, path)
    return groups


def _need_directory_of(source: SourceTree, pattern: str) -> None:
    """Refuse a pattern that matches nothing when the directory before its first wildcard does not exist."""
    directory = "/".join(takewhile(lambda element: not _has_wildcard(element), pattern.split("/")))
    if source.root.stat(directory) is None or hides_directory(source, directory):
        raise _missing(source, directory)


def _leads_nowhere(source: SourceTree, path: str) -> bool:
    """Return whether *path* is a visible symlink to something that is missing or ignored."""
    status = source.root.stat(path, follow=False)
    if status is None or not stat.S_ISLNK(status.st_mode) or source.hides(path):
        return False
    return source.root.stat(path) is None or source.excluded(*source.way(path)) is not None


def _missing(source: SourceTree, path: str, exclude: "IgnoreFile | None" = None) -> BuildError:
    # Imported here, because only a failure needs it.
    from pybuild.builder.content.missing import missing

    return missing(source, path, exclude)


def _has_wildcard(text: str) -> bool:
    """Return whether *text* is a pattern and not a name. The module of patterns is loaded only if it may be one."""
    if _WILDCARDS.isdisjoint(text):
        return False
    from pybuild.grammar.patterns import has_wildcard

    return has_wildcard(text)


def _matches(source: SourceTree, pattern: str) -> Iterator[str]:
    # Imported here, because most builds have no patterns.
    from pybuild.builder.content.wildcards import matches

    return matches(source, pattern)


def inline_group(inline: Inline) -> Group:
    """Return the group of a file whose content is in the Dockerfile: mode 0644, owned by root, no time."""
    data = os.fsencode(inline.content)
    status = os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, len(data), 0, 0, 0), {"st_mtime_ns": 0})
    return Group(inline.name, False, [Item(inline.name, "", status, data, ())])
