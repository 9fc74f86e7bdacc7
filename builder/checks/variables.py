"""The names that an instruction expands, in all words but those for a shell."""

from collections.abc import Iterable, Iterator
from itertools import islice

from pybuild.grammar.nodes import Add, Arg, Copy, Expose, From, Heredoc, Instruction, Run, Word
from pybuild.grammar.suggest import closest
from pybuild.grammar.words.expand import variables, words_of

# A guess compares a name with each of the others. The limits keep that short for a file with thousands of names.
_MOST_NAMES = 300


class Guesses:
    """Suggestions for unknown names; in a file with very many, only for the first of them."""

    def __init__(self, most: int = 100) -> None:
        self._left = most

    def closest(self, name: str, candidates: Iterable[str]) -> str | None:
        """Return the candidate most similar to *name*, by BuildKit's measure, which is case-sensitive."""
        self._left -= 1
        return closest(name, islice(candidates, _MOST_NAMES), fold=False) if self._left >= 0 else None

    def folded(self, name: str, candidates: Iterable[str]) -> str | None:
        """Return the candidate most similar to *name*, ignoring case."""
        return closest(name, islice(candidates, _MOST_NAMES)) if self._left >= 0 else None


def used_names(node: Instruction, escape: str) -> list[str]:
    """Return the names that the words of *node* use, in order; none for ARG, which is handled elsewhere.

    A name with a default, as in ``${name:-word}``, is included: BuildKit reports it as well.
    """
    names: dict[str, None] = {}
    for part in _parts(node):
        if isinstance(part, Heredoc):
            # In a heredoc body the escape character is always the backslash.
            names |= dict.fromkeys(sorted(variables(part.body, quotes=False))) if part.expand else {}
        else:
            names |= dict.fromkeys(names_in(part, escape))
    return list(names)


def names_in(word: Word, escape: str) -> list[str]:
    """Return the names that one word uses."""
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
            yield from words_of(node)
