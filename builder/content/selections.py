"""The files that vertices select from their inputs, and their digests, kept until the vertex copies them."""

import threading
import time
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from pybuild.builder.content.context import Sources
from pybuild.builder.content.selection import select
from pybuild.builder.content.selection_digest import Memory, Stretch, content_digest, divide, listing_digest
from pybuild.builder.content.source_tree import Group, SourceTree
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import excluded, listing_key, picks, selection_key
from pybuild.builder.plan.ops import Copy, Local, Op, Pick
from pybuild.builder.plan.plan import Plan
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError

if TYPE_CHECKING:
    from pybuild.grammar.ignorefile import IgnoreFile


class Selected(NamedTuple):
    """The selection of one pick: its groups, the source to read them from, and the digest of the content."""

    source: SourceTree
    groups: list[Group]
    digest: Digest
    began_ns: int = 0
    """When reading began. A file that changed since, or just before, may change again with the same change time."""
    stretches: list[list[Stretch]] | None = None
    """Those of each group, listed; None when the source has no identity."""


class Selections:
    """The selections of a plan, by the vertex and the number of the pick."""

    def __init__(self, plan: Plan, store: Store, sources: Sources) -> None:
        self._plan, self._store, self._sources = plan, store, sources
        self._by_pick: dict[tuple[int, int], Selected] = {}
        self._memory = Memory()
        # Held while digests are computed: what is remembered of a source is read, added to and written as a whole.
        self._lock = threading.Lock()

    def keep_only(self, indexes: set[int]) -> None:
        """Forget the selections of vertices other than *indexes*: those are cached."""
        self._by_pick = {key: found for key, found in self._by_pick.items() if key[0] in indexes}

    def context_digest(self, index: int, number: int) -> Digest:
        """Return the digest of what a pick selects from a directory of the host. Only changed files are read."""
        vertex = self._plan.vertices[index]
        pick = picks(vertex.op)[number]
        local = self._plan.vertices[vertex.inputs[pick.input]].op
        assert isinstance(local, Local)  # noqa: S101 - the caller checks
        selected = self._read(self._sources.context(local.name), vertex.op, pick)
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
            selected = self._read(trees[source], vertex.op, pick)
            if source in keys:
                self._store.cache.put_selection(selection_key(vertex.op, pick, keys[source]), selected.digest)
            found.append(selected)
        return tuple(found)

    def _read(self, source: SourceTree, op: Op, pick: Pick) -> Selected:
        began_ns = time.time_ns()
        exclude = _exclusions(excluded(op))
        groups = select(source, pick, exclude, parents=isinstance(op, Copy) and op.parents)
        divided = divide(source, groups)
        listed = listing_digest(groups, divided) if source.id else None
        listing = None if listed is None else listing_key(listed)
        content = None if listing is None else self._store.cache.selection(listing)
        if content is None:
            content = self._found(source, groups, divided, listing)
        return Selected(source, groups, content, began_ns, divided if source.id else None)

    def _found(
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


def _exclusions(patterns: tuple[str, ...]) -> "IgnoreFile | None":
    if not patterns:
        return None
    from pybuild.grammar.ignorefile import IgnoreFile

    try:
        return IgnoreFile.of(patterns)
    except DockerfileError as error:
        raise BuildError(f"invalid --exclude: {error.message}", hint=error.hint) from error
