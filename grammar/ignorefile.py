"""`.dockerignore`: the paths of a build context that are excluded, by the rules of moby/patternmatcher.

Patterns are anchored at the root of the context. ``!`` includes what an earlier line excluded; the last line that
matches a path *or one of its parent directories* decides. A trailing slash has no meaning.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from pybuild.grammar.ignorerule import IgnoreRule, Passed, read_rule
from pybuild.grammar.parse_go import SPACE
from pybuild.grammar.patterns import Matches
from pybuild.grammar.source import Span

_BOM = "\ufeff"
# The number of remembered directories: a walk asks for the same few again and again.
_MOST_DIRECTORIES = 4096
# The number of rules that are tried for a message; a file with more rules for one path is not written by hand.
_MOST_CANDIDATES = 20


class IgnoreFile:
    """The rules of one file. Paths are relative to the context, with slashes, without ``.`` and ``..``."""

    def __init__(self, rules: tuple[IgnoreRule, ...] = (), *, name: str = "", is_flag: bool = False) -> None:
        self._rules = rules
        self.name = name
        """The name of the file, for messages."""
        self._top = _Directory("", tuple((rule, rule.start) for rule in rules))
        self._directories = {"": self._top}
        self._ways = (None,) if is_flag else tuple(rule.way for rule in rules if rule.negated)

    @classmethod
    def parse(cls, text: str, name: str = ".dockerignore") -> "IgnoreFile":
        """Read the lines of the file called *name*.

        Raises:
            DockerfileError: a pattern is malformed; the span is that of the line in *text*.
        """
        return cls(tuple(_rules(text)), name=name)

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "IgnoreFile":
        """Return the rules of *patterns* of a flag, in which nothing is a comment.

        Raises:
            DockerfileError: a pattern is malformed; there is no span.
        """
        bare = (pattern.strip(SPACE) for pattern in patterns)
        return cls(tuple(read_rule(pattern, None) for pattern in bare if pattern), is_flag=True)

    @property
    def ignores_all(self) -> bool:
        """Whether a line excludes everything at the top of the context, and no ``!`` line includes anything."""
        return any(rule.is_all for rule in self._rules) and not self.may_include("")

    def may_include(self, path: str) -> bool:
        """Return whether a ``!`` line may match *path* or something below it; "" is the context."""
        return any(rule.negated and (not path or rule.could_reach(path)) for rule in self._rules)

    def ignores(self, path: str, *, is_dir: bool = False) -> bool:  # noqa: ARG002 - no pattern depends on it
        """Return whether *path* is excluded; as in Docker, it does not matter whether it is a directory or a file."""
        if path in {"", "."}:
            return False
        parent, _, name = path.rpartition("/")
        return (self._directories.get(parent) or self._entered(parent)).ignores(name)

    def deciding(self, path: str) -> IgnoreRule | None:
        """Return the rule without which *path* would not be excluded at its place; None when *path* is not excluded.

        This is for messages: it may ask all rules several times.
        """
        alone = (IgnoreFile((rule._replace(negated=False),)) for rule in self._rules)
        matching = [count for count, rule in enumerate(alone, 1) if rule.ignores(path)]
        ignored, decisive = False, None
        for count in matching[-_MOST_CANDIDATES:]:
            before, ignored = ignored, IgnoreFile(self._rules[:count]).ignores(path)
            decisive = self._rules[count - 1] if ignored and not before else decisive
        return decisive if ignored else None

    def may_descend(self, path: str) -> bool:
        """Return whether ``!`` lines include something below the excluded directory *path*, should they match it.

        When all ``!`` lines have wildcards at their ends alone, BuildKit enters only the directories above those ends:
        ``*`` and ``!src/*/**`` include nothing, since src/a is excluded and not above src. Flags have no such rule.
        """
        if None in self._ways:
            return self.may_include(path)
        return any(f"{way}/".startswith(f"{path}/") for way in self._ways)

    def _entered(self, path: str) -> "_Directory":
        """Return the remaining rules in the directory at *path*; cached, so that a walk computes them once."""
        if len(self._directories) >= _MOST_DIRECTORIES:
            self._directories = {"": self._top}
        directory, here = self._top, ""
        for name in path.split("/"):
            here = f"{here}/{name}" if here else name
            known = self._directories.get(here)
            if known is None:
                known = directory.below(name, here + "/")
                if known.is_ignored and not self.may_descend(here):
                    known = known.closed()
            directory = self._directories[here] = known
        return directory


class _Directory:
    """The remaining rules in one directory: those that can still match something in or below it.

    *rules* come with the positions in their rows that are reached; None for a rule that matches the directory or one
    above it.
    """

    __slots__ = ("_path", "_rules", "_tests")

    def __init__(self, path: str, rules: tuple[tuple[IgnoreRule, Passed | None], ...]) -> None:
        self._path, self._rules = path, rules
        tests = ((rule.negated, self._test(rule, passed)) for rule, passed in rules)
        self._tests = [(negated, matches) for negated, matches in tests if matches is not None]

    @property
    def is_ignored(self) -> bool:
        """Whether the directory itself is excluded."""
        return bool(self._rules) and self._rules[0][1] is None and not self._rules[0][0].negated

    def closed(self) -> "_Directory":
        """Return this ignored directory as one in which nothing is included."""
        return _Directory(self._path, self._rules[:1])

    def ignores(self, name: str) -> bool:
        """Return whether the entry *name* of this directory is excluded."""
        ignored = False
        for negated, matches in self._tests:
            # A rule that would change nothing is skipped and counts as no match, even for paths below. That is the
            # behaviour of the original: "a/x" and then "!a" does not include a/x.
            if negated is ignored and matches(name):
                ignored = not ignored
        return ignored

    def below(self, name: str, path: str) -> "_Directory":
        """Return the remaining rules in the directory *name* of this one; *path* is its path with a trailing slash."""
        ignored = False
        left: list[tuple[IgnoreRule, Passed | None]] = []
        for rule, passed in self._rules:
            matches = self._test(rule, passed)
            if passed is None or (rule.negated is ignored and matches is not None and matches(name)):
                ignored = not rule.negated
                # Earlier rules cannot change anything any more.
                left = [(rule, None)]
            elif not rule.row:
                left.append((rule, passed))
            elif after := rule.below(passed, name):
                left.append((rule, after))
        return _Directory(path, tuple(left))

    def _test(self, rule: IgnoreRule, passed: Passed | None) -> Matches | None:
        """Return a function from the name of an entry to whether *rule* matches it; None when it cannot match."""
        if passed is None:
            return _always
        if rule.whole is not None:
            return partial(_below, rule.whole, self._path)
        return rule.last(passed)


def _below(whole: Matches, directory: str, name: str) -> bool:
    return whole(directory + name)


def _always(_name: str) -> bool:
    return True


def _rules(text: str) -> Iterator[IgnoreRule]:
    # A comment has its mark in the first column: with a space before it, the line is a pattern, as in Docker.
    offset = len(_BOM) if text.startswith(_BOM) else 0
    for number, row in enumerate(text[offset:].split("\n"), 1):
        pattern = row.strip(SPACE)
        if pattern and not row.startswith("#"):
            yield read_rule(pattern, Span(offset, offset + len(row.rstrip("\r"))))._replace(number=number)
        offset += len(row) + 1
