"""The files that COPY, ADD and bind mounts read, and their digests.

`select` finds the files of one pick in a source tree. `Selections` keeps those of a plan until a vertex copies them.
"""

import os
import stat
import threading
import time
from collections.abc import Container, Iterator
from contextlib import ExitStack
from itertools import chain, takewhile
from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple

from pybuild.builder.content.context import Sources
from pybuild.builder.content.selection_digest import Memory, Stretch, content_digest, divide, listing_digest
from pybuild.builder.content.source_tree import Group, Item, SourceTree, group_at, hides_directory
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import excluded, listing_key, picks, selection_key
from pybuild.builder.plan.ops import Copy, Exact, Http, Inline, Local, Op, Pick
from pybuild.builder.plan.plan import Plan
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.errors import UnsafePathError

if TYPE_CHECKING:
    from pybuild.grammar.ignorefile import IgnoreFile

_WILDCARDS = frozenset("*?[")


class Selected(NamedTuple):
    """The selection of one pick: its groups, the source to read them from, and the digest of the content."""

    source: SourceTree
    groups: list[Group]
    digest: Digest
    began_ns: int = 0
    """When reading began. A file that changed since, or just before, may change again with the same change time."""
    stretches: list[list[Stretch]] | None = None
    """The stretches of each group, with their listings; None when the source has no identity."""


class Selections:
    """The selections of a plan, by the vertex and the number of the pick."""

    def __init__(self, plan: Plan, store: Store, sources: Sources) -> None:
        self._plan, self._store, self._sources = plan, store, sources
        self._by_pick: dict[tuple[int, int], Selected] = {}
        self._memory = Memory()
        # Held while digests are computed: what is remembered of a source is read, added to and written as a whole.
        self._lock = threading.Lock()

    def keep_only(self, indexes: Container[int]) -> None:
        """Forget the selections of vertices other than *indexes*: those are cached."""
        self._by_pick = {key: found for key, found in self._by_pick.items() if key[0] in indexes}

    def context_digest(self, index: int, number: int) -> Digest:
        """Return the digest of what a pick selects from a directory of the host. Only changed files are read."""
        vertex = self._plan.vertices[index]
        pick = picks(vertex.op)[number]
        local = self._plan.vertices[vertex.inputs[pick.input]].op
        assert isinstance(local, Local)  # noqa: S101 - the caller checks
        selected = self._read(self._sources.context(local.name), vertex.op, pick, _exclusions(vertex.op, local))
        self._by_pick[index, number] = selected
        return selected.digest

    def remembered(self, index: int, number: int, source: Digest | None) -> Digest | None:
        """Return the digest that an earlier build recorded for a pick from the stage with the key *source*."""
        if source is None:
            return None
        op = self._plan.vertices[index].op
        return self._store.cache.selection(selection_key(op, picks(op)[number], source))

    def open(
        self, index: int, results: dict[int, Layers], keys: dict[int, Digest], stack: ExitStack
    ) -> tuple[Selected, ...]:
        """Return the selections of a vertex, with open sources, which *stack* closes."""
        vertex = self._plan.vertices[index]
        trees: dict[int, SourceTree] = {}
        found: list[Selected] = []
        for number, pick in enumerate(picks(vertex.op)):
            source = vertex.inputs[pick.input]
            if isinstance(self._plan.vertices[source].op, Local):
                if (index, number) not in self._by_pick:
                    self.context_digest(index, number)
                # Taken out, because a copy releases the items of its groups while it writes them.
                found.append(self._by_pick.pop((index, number)))
                continue
            if source not in trees:
                trees[source] = self._sources.of(results[source])
                stack.callback(trees[source].root.close)
            exclude = _exclusions(vertex.op, self._plan.vertices[source].op)
            selected = self._read(trees[source], vertex.op, pick, exclude)
            if source in keys:
                self._store.cache.put_selection(selection_key(vertex.op, pick, keys[source]), selected.digest)
            found.append(selected)
        return tuple(found)

    def _read(self, source: SourceTree, op: Op, pick: Pick, exclude: "IgnoreFile | None") -> Selected:
        began_ns = time.time_ns()
        groups = select(source, pick, exclude, parents=isinstance(op, Copy) and op.parents)
        divided = divide(source, groups)
        listed = listing_digest(groups, divided) if source.id else None
        listing = None if listed is None else listing_key(listed)
        content = None if listing is None else self._store.cache.selection(listing)
        if content is None:
            content = self._compute_digest(source, groups, divided, listing)
        return Selected(source, groups, content, began_ns, divided if source.id else None)

    def _compute_digest(
        self, source: SourceTree, groups: list[Group], divided: list[list[Stretch]], listing: Digest | None
    ) -> Digest:
        """Return the digest of the content of *groups*, and remember it by *listing*, unless a file is too young."""
        # Imported here: a build of unchanged files does not need them.
        from pybuild.builder.content.file_digests import FileDigests
        from pybuild.builder.content.stretch_digests import StretchDigests

        database = self._store.database
        with (
            self._lock,
            FileDigests(source, database, self._memory) as files,
            StretchDigests(source, database, files) as digests,
        ):
            unknown = [
                group.items[stretch.start : stretch.end]
                for group, stretches in zip(groups, divided, strict=True)
                for stretch in stretches
                if not digests.knows(stretch)
            ]
            files.prefetch(chain.from_iterable(unknown))
            content = content_digest(groups, divided, digests)
            racy = files.racy
        if listing is not None and not racy:
            self._store.cache.put_selection(listing, content)
        return content


def read_again(selected: tuple[Selected, ...]) -> str:
    """Return a note on files that every build reads again, because their change time cannot be trusted."""
    places = dict.fromkeys(each.source.where for each in selected if None in each.source.mounts.values())
    return "".join(f"{where}: the file system keeps no change times, so all files are read again\n" for where in places)


def _exclusions(op: Op, source: Op) -> "IgnoreFile | None":
    """Return what *op* excludes from what *source* makes: of a URL nothing, as in BuildKit, because it is one file."""
    patterns = excluded(op)
    if not patterns:
        return None
    from pybuild.grammar.ignorefile import IgnoreFile

    try:
        exclude = IgnoreFile.of(patterns)
    except DockerfileError as error:
        raise BuildError(f"invalid --exclude: {error.message}", hint=error.hint) from error
    return None if isinstance(source, Http) else exclude


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
        return _select_visible(source, pick, exclude)
    except (UnsafePathError, BuildError) as error:
        from pybuild.builder.content.missing_source import explained

        found = explained(error, source, pick.path)
        raise found from found.__cause__


def _select_visible(source: SourceTree, pick: Pick, exclude: "IgnoreFile | None") -> list[Group]:
    path = normpath("/" + pick.path).lstrip("/")
    groups = []
    pattern = not isinstance(pick, Exact) and _has_wildcard(path)
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
    from pybuild.builder.content.missing_source import missing

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
