r"""One line of `.dockerignore`: a pattern that is matched name by name while descending to a path.

``*`` and ``?`` match within a name, ``**`` spans directories. A pattern becomes a row of names with gaps; the positions
in the row that a directory has reached are computed once for all its entries. A pattern whose ``**`` starts in the
middle of a name, or which has a class that matches a slash, has no such row: it is matched against whole paths.
"""

import posixpath
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import takewhile
from typing import NamedTuple

from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.parse_go import SPACE
from pybuild.grammar.patterns import (
    BadPattern,
    CharClass,
    Matches,
    Token,
    Wild,
    accepts,
    literal,
    name_matcher,
    parse_pattern,
    regex_matcher,
)
from pybuild.grammar.patterns import regex as token_regex
from pybuild.grammar.source import Span


class _DoubleStar(Enum):
    """The meaning of ``**``: any number of whole directories, or at the end of a pattern everything."""

    DIRECTORIES = "(?:.*/)?"
    REST = ".*"


_Token = Token | _DoubleStar
_Row = tuple[Matches | None, ...]
"""The matchers for the names of a path, one after the other; None for any number of directories."""

_WILD = frozenset("*[]?^\\")

Passed = tuple[int, ...]
"""The positions of its row that a rule has reached in a directory, in ascending order."""


class IgnoreRule(NamedTuple):
    """One line; its paths start with *prefix*, which is the whole pattern when *literal*."""

    negated: bool
    prefix: str
    literal: bool
    row: _Row
    """Empty when only *whole* can match."""
    whole: Matches | None
    """Matches whole paths."""
    way: str | None
    """The pattern without ``/*`` and ``/**`` at its end; None when there are wildcards in what is left."""
    text: str
    """The line itself, without spaces around it."""
    number: int = 0
    """The number of the line in its file, 0 for a pattern of a flag."""

    @property
    def is_all(self) -> bool:
        """Whether it excludes every entry of the context; the forms that BuildKit knows."""
        return _cleaned(self.text) in {"*", "**", "**/*"}

    @property
    def start(self) -> Passed:
        """The positions that are reached at the root of the context."""
        return tuple(_entered(self.row, 0)) if self.row else ()

    def last(self, passed: Passed) -> Matches | None:
        """Return the matcher for the last name of the row; None when another one comes first."""
        return self.row[-1] if passed and passed[-1] == len(self.row) - 1 else None

    def below(self, passed: Passed, name: str) -> Passed:
        """Return the positions that are reached in the directory *name* of a directory that has reached *passed*."""
        if passed == (0, 1) and len(self.row) == 2:
            return passed  # **/name, which most lines are
        reached: set[int] = set()
        for position in passed:
            matches = self.row[position]
            if matches is None:
                reached |= {position, position + 1}
            elif position + 1 < len(self.row) and matches(name):
                reached.update(_entered(self.row, position + 1))
        return tuple(sorted(reached))

    def could_reach(self, directory: str) -> bool:
        """Return whether the rule may match something below *directory*."""
        inside = directory + "/"
        if self.literal:
            return f"{self.prefix}/".startswith(inside)
        return self.prefix.startswith(inside) or inside.startswith(self.prefix)


def read_rule(line: str, span: Span | None) -> IgnoreRule:
    """Return the rule of a line without spaces around it.

    Raises:
        DockerfileError: the pattern is malformed; the error has *span*.
    """
    negated = line.startswith("!")
    pattern = _cleaned(line[1:].strip(SPACE) if negated else line)
    if not negated and span is not None and (bare := pattern.strip(SPACE)).startswith("!"):
        # The original cleans the lines of a file first, and then looks for the mark: /!x and ./!x are !x.
        negated, pattern = True, bare[1:]
    if negated and pattern in {"", "/"}:
        raise DockerfileError('illegal exclusion pattern: "!"', span)
    try:
        tokens = tuple(_with_double_stars(parse_pattern(pattern)))
    except BadPattern as error:
        raise DockerfileError(str(error), span) from None
    prefix = literal(tuple(takewhile(lambda token: isinstance(token, str), tokens)))
    row = _row(_with_quirk(pattern, tokens))
    way = pattern.removesuffix("/**").removesuffix("/*")
    return IgnoreRule(
        negated=negated,
        prefix=prefix,
        literal=len(prefix) == len(tokens),
        row=row,
        whole=None if row else _whole(tokens),
        way=None if _WILD & set(way) else way,
        text=line,
    )


def _cleaned(pattern: str) -> str:
    if not pattern:
        return ""
    clean = posixpath.normpath(pattern)
    return clean.lstrip("/") or "/" if clean.startswith("/") else clean


def _with_double_stars(tokens: tuple[Token, ...]) -> Iterator[_Token]:
    position = 0
    while position < len(tokens):
        token: _Token = tokens[position]
        position += 1
        if token is Wild.STAR and tokens[position : position + 1] == (Wild.STAR,):
            # The slash after ** is part of it.
            position += 1 + (tokens[position + 1 : position + 2] == ("/",))
            token = _DoubleStar.DIRECTORIES if position < len(tokens) else _DoubleStar.REST
        yield token


def _with_quirk(pattern: str, tokens: tuple[_Token, ...]) -> tuple[_Token, ...]:
    """Let ``**name`` match the end of a name, as the original does when the whole name is plain."""
    plain = "\\" not in pattern and all(isinstance(token, str) for token in tokens[1:])
    if tokens[:1] == (_DoubleStar.DIRECTORIES,) and plain and not pattern.startswith("**/"):
        return (_DoubleStar.DIRECTORIES, Wild.STAR, *tokens[1:])
    return tokens


def _row(tokens: Sequence[_Token]) -> _Row:
    row: list[Matches | None] = []
    name: list[Token] = []
    for token in tokens:
        match token:
            case _DoubleStar():
                if name:
                    return ()
                row += [] if row[-1:] == [None] else [None]
                name += [Wild.STAR] if token is _DoubleStar.REST else []
            case "/":
                row.append(name_matcher(name))
                name = []
            case CharClass() if token.accepts("/"):
                return ()
            case _:
                name.append(token)
    return (*row, name_matcher(name))


def _entered(row: _Row, position: int) -> Iterator[int]:
    """Yield *position*, and the next position if *position* may match no directory at all."""
    yield position
    if row[position] is None:
        yield position + 1


def _whole(tokens: tuple[_Token, ...]) -> Matches:
    """Return a matcher for whole paths. Regular expressions are only used when they cannot backtrack for long."""
    if sum(isinstance(token, _DoubleStar) or token is Wild.STAR for token in tokens) > 1:
        return _AllWays(tokens)
    return regex_matcher("".join(map(_regex, tokens)))


def _regex(token: _Token) -> str:
    return token.value if isinstance(token, _DoubleStar) else token_regex(token)


class _AllWays:
    """Simulates all paths through a pattern at once (an NFA). A set of positions is a number with a bit for each."""

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self._tokens = tokens
        self._start = literal(tuple(takewhile(lambda token: isinstance(token, str), tokens)))
        self._end = literal(tuple(takewhile(lambda token: isinstance(token, str), reversed(tokens))))[::-1]
        self._directories = self._bits(_DoubleStar.DIRECTORIES)
        self._anything = self._bits(_DoubleStar.REST)
        self._within = self._anything | self._bits(Wild.STAR)
        self._optional = self._directories | self._within
        self._taking: dict[str, int] = {}

    def _bits(self, wanted: _Token) -> int:
        return sum(1 << position for position, token in enumerate(self._tokens) if token is wanted)

    def __call__(self, path: str) -> bool:
        if not (path.startswith(self._start) and path.endswith(self._end)):
            return False
        positions = self._entered(1)
        for char in path:
            if not positions:
                return False
            positions = self._after(positions, char)
        return bool(positions >> len(self._tokens))

    def _after(self, positions: int, char: str) -> int:
        taking = self._taking.get(char)
        if taking is None:
            taking = self._taking[char] = self._taking_of(char)
        staying = positions & (self._anything if char == "/" else self._within)
        # Inside a row of directories only a slash leads on.
        return self._entered((positions & taking) << 1 | staying) | positions & self._directories

    def _taking_of(self, char: str) -> int:
        """Return the positions that *char* leads on from."""
        bits = self._directories if char == "/" else 0
        for position, token in enumerate(self._tokens):
            if not isinstance(token, _DoubleStar) and token is not Wild.STAR and accepts(token, char):
                bits |= 1 << position
        return bits

    def _entered(self, positions: int) -> int:
        """Return *positions* and the positions that follow without a character."""
        fresh = positions
        while fresh := (fresh & self._optional) << 1 & ~positions:
            positions |= fresh
        return positions
