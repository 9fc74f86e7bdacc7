"""Which names an instruction expands: all words but those that a shell, or nobody, looks at."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import islice

from pybuild.grammar.nodes import Add, Arg, Copy, Expose, From, Heredoc, Instruction, Run, Word
from pybuild.grammar.suggest import closest
from pybuild.grammar.words.expand import variables

_MOST_NAMES = 300


class Guesses:
    """What an unknown name may have been meant to be; for a file that has very many, only for the first of them."""

    def __init__(self, most: int = 100) -> None:
        self._left = most

    def closest(self, name: str, candidates: Iterable[str]) -> str | None:
        """Return the candidate that differs little from *name*, case included, as BuildKit looks for it."""
        self._left -= 1
        return closest(name, islice(candidates, _MOST_NAMES), fold=False) if self._left >= 0 else None

    def folded(self, name: str, candidates: Iterable[str]) -> str | None:
        """Return the candidate that differs little from *name* when case does not count."""
        return closest(name, islice(candidates, _MOST_NAMES)) if self._left >= 0 else None


def used_names(node: Instruction, escape: str) -> list[str]:
    """Return the names that the words of *node* ask for, in order; ARG is another matter and has none here.

    A name with a default, as in ``${name:-word}``, is asked for as well: BuildKit reports it too.
    """
    names: dict[str, None] = {}
    for part in _parts(node):
        if isinstance(part, Heredoc):
            # The escape of a body is the backslash, whatever the file chose.
            names |= dict.fromkeys(sorted(variables(part.body, quotes=False))) if part.expand else {}
        else:
            names |= dict.fromkeys(names_in(part, escape))
    return list(names)


def names_in(word: Word, escape: str) -> list[str]:
    """Return the names that one word asks for."""
    return [] if word.literal or "$" not in word.text else sorted(variables(word.text, escape=escape))


def _parts(node: Instruction) -> Iterator[Word | Heredoc]:
    match node:
        case From() | Arg() | Expose():
            return  # BuildKit expands them as well, and does not look
        case Copy():
            yield from filter(None, (node.chown, node.chmod, *node.sources, node.destination))
        case Add():
            yield from filter(None, (node.chown, node.chmod, node.checksum, *node.sources, node.destination))
        case Run(mounts=mounts):
            yield from (word for mount in mounts for key, word in mount.options if key != "from")
        case _:
            yield from _words([getattr(node, each.name) for each in fields(node)])


def _words(value: object) -> Iterator[Word]:
    """Yield the words in *value*, however deep in tuples."""
    if isinstance(value, Word):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _words(item)
