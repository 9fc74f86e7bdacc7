"""``COPY --parents``: a selection that keeps the directories above what is selected."""

import stat
from posixpath import normpath

from pybuild.builder.content.missing_source import behind_symlink, missing
from pybuild.builder.content.source_tree import Group, Item, SourceTree, group_at
from pybuild.builder.content.wildcards import matches
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.grammar.patterns import has_wildcard


def with_parents(source: SourceTree, path: str, exclude: IgnoreFile | None) -> list[Group]:
    """Select below each directory before ``/./`` of *path*, else below the root; here ``**`` matches any depth."""
    above, pivot, below = path.partition("/./")
    top = normpath("/" + above).lstrip("/") if pivot else ""
    rest = normpath("/" + (below if pivot else path)).lstrip("/")
    if has_wildcard(top):
        wholes = [group_at(source, found, exclude) for found in matches(source, top)]
        return [_kept_below(whole, rest) for whole in wholes if whole is not None and whole.is_directory]
    whole = group_at(source, top, exclude)
    if whole is None or not whole.is_directory:
        raise missing(source, top)
    kept = _kept_below(whole, rest)
    if len(kept.items) == 1 and rest and not has_wildcard(rest):
        path = f"{top}/{rest}".lstrip("/")
        raise behind_symlink(source, path) or missing(source, path, exclude)
    return [kept]


def _kept_below(whole: Group, rest: str) -> Group:
    """Return the matches of *rest* below *whole*, with the directories above; everything when *rest* is empty."""
    wanted = IgnoreFile.of([rest])
    kept: dict[str, Item] = {"": whole.items[0]}
    directories: dict[str, Item] = {}
    for item in whole.items[1:]:
        if stat.S_ISDIR(item.stat.st_mode):
            directories[item.name] = item
        if not rest or wanted.ignores(item.name):
            kept |= {name: directories[name] for name in _above(item.name) if name not in kept}
            kept[item.name] = item
    return Group("", True, list(kept.values()))


def _above(name: str) -> list[str]:
    """Return the names of the directories above *name*, outermost first."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
