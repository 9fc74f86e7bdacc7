"""The paths of a source tree that a pattern matches.

Most builds have no pattern, and do not load this module.
"""

import stat
from collections.abc import Iterator
from itertools import takewhile

from pybuild.builder.content.source_tree import SourceTree, entries_of
from pybuild.builder.errors import BuildError
from pybuild.grammar.patterns import BadPattern, has_wildcard, match, parse_pattern


def matches(source: SourceTree, pattern: str) -> Iterator[str]:
    """Yield the paths that a pattern matches, each element on its own, in byte order."""
    _refuse_malformed(pattern)
    yield from _match_below(source, pattern.split("/"))


def _refuse_malformed(pattern: str) -> None:
    """Check the whole pattern: its last elements are never matched when the first ones match nothing."""
    try:
        for element in pattern.split("/"):
            parse_pattern(element)
    except BadPattern as error:
        message = f'"{pattern}": {error}'
        raise BuildError(message, hint="write a backslash before a literal bracket") from error


def _match_below(source: SourceTree, elements: list[str]) -> Iterator[str]:
    """Yield the matches of *elements*: symlinks are followed before the first wildcard, but not after it."""
    plain = list(takewhile(lambda element: not has_wildcard(element), elements))
    top = "/".join(plain)
    status = source.root.stat(top)
    if status is not None and stat.S_ISDIR(status.st_mode):
        yield from _match_in(source, top, source.root.real(top), elements[len(plain) :])


def _match_in(source: SourceTree, path: str, real: str, elements: list[str]) -> Iterator[str]:
    """Yield matches of *elements* in the directory at *path*; *real* is its path without symlinks."""
    for entry in entries_of(source, real, ""):
        if not match(elements[0], entry.name):
            continue
        found = f"{path}/{entry.name}" if path else entry.name
        if len(elements) == 1:
            yield found
        elif stat.S_ISDIR(entry.stat.st_mode):
            yield from _match_in(source, found, entry.path, elements[1:])
