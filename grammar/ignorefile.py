"""`.dockerignore`: which paths of a build context stay away from the build, in the way of moby/patternmatcher.

Patterns are anchored at the root of the context. ``!`` takes back what an earlier line ignored; the last line that
matches a path *or one of its parent directories* decides. A trailing slash means nothing.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from pybuild.grammar.golang import SPACE
from pybuild.grammar.ignorerule import IgnoreRule, Passed, read_rule
from pybuild.grammar.patterns import Matches
from pybuild.grammar.source import Span

_BOM = "\ufeff"
# So many directories are remembered; a walk asks for the same few again and again.
_MOST_FOLDERS = 4096


class IgnoreFile:
    """The rules of one file. Paths are relative to the context, with slashes, without ``.`` and ``..``."""

    def __init__(self, rules: tuple[IgnoreRule, ...] = ()) -> None:
        self._rules = rules
        self._top = _Folder("", tuple((rule, rule.start) for rule in rules))
        self._folders = {"": self._top}

    @classmethod
    def parse(cls, text: str) -> "IgnoreFile":
        """Read the lines of a file.

        Raises:
            DockerfileError: a pattern is malformed; the span is that of the line in *text*.
        """
        return cls(tuple(_rules(text)))

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "IgnoreFile":
        """Take *patterns* as they are: where they stand, in a flag, nothing is a comment.

        Raises:
            DockerfileError: a pattern is malformed; there is no span.
        """
        bare = (pattern.strip(SPACE) for pattern in patterns)
        return cls(tuple(read_rule(pattern, None) for pattern in bare if pattern))

    @property
    def has_exceptions(self) -> bool:
        """Whether a ``!`` line takes something back."""
        return any(rule.negated for rule in self._rules)

    def ignores(self, path: str, *, is_dir: bool = False) -> bool:  # noqa: ARG002 - no pattern depends on it
        """Tell whether *path* is left out; a directory and a file of that name are treated alike, as in Docker."""
        if path in {"", "."}:
            return False
        parent, _, name = path.rpartition("/")
        return (self._folders.get(parent) or self._entered(parent)).ignores(name)

    def may_descend(self, path: str) -> bool:
        """Tell whether something below the ignored directory *path* could still be taken back by a ``!`` line."""
        return any(rule.negated and rule.could_reach(path) for rule in self._rules)

    def _entered(self, path: str) -> "_Folder":
        """Return what is left of the rules in the directory at *path*; remembered, so that a walk finds it out once."""
        if len(self._folders) >= _MOST_FOLDERS:
            self._folders = {"": self._top}
        folder, here = self._top, ""
        for name in path.split("/"):
            here = f"{here}/{name}" if here else name
            known = self._folders.get(here)
            folder = self._folders[here] = folder.below(name, here + "/") if known is None else known
        return folder


class _Folder:
    """What is left of the rules in one directory: those that can still match something there or below.

    *rules* come with the places of their rows that are reached; None for one that matches the directory or one above
    it.
    """

    __slots__ = ("_path", "_rules", "_tests")

    def __init__(self, path: str, rules: tuple[tuple[IgnoreRule, Passed | None], ...]) -> None:
        self._path, self._rules = path, rules
        tests = ((rule.negated, self._test(rule, passed)) for rule, passed in rules)
        self._tests = [(negated, matches) for negated, matches in tests if matches is not None]

    def ignores(self, name: str) -> bool:
        """Tell whether the entry *name* of this directory is left out."""
        ignored = False
        for negated, matches in self._tests:
            # A rule that could change nothing is not asked and counts as no match, also for what is below. That is the
            # behaviour of the original: "a/x" and then "!a" does not take back a/x.
            if negated is ignored and matches(name):
                ignored = not ignored
        return ignored

    def below(self, name: str, path: str) -> "_Folder":
        """Return what is left in the directory *name* of this one, whose path with a slash behind is *path*."""
        ignored = False
        left: list[tuple[IgnoreRule, Passed | None]] = []
        for rule, passed in self._rules:
            matches = self._test(rule, passed)
            if passed is None or (rule.negated is ignored and matches is not None and matches(name)):
                ignored = not rule.negated
                # What stands before it can change nothing any more.
                left = [(rule, None)]
            elif not rule.row:
                left.append((rule, passed))
            elif after := rule.below(passed, name):
                left.append((rule, after))
        return _Folder(path, tuple(left))

    def _test(self, rule: IgnoreRule, passed: Passed | None) -> Matches | None:
        """Return what tells from the name of an entry whether *rule* matches it; None when it cannot."""
        if passed is None:
            return _always
        if rule.whole is not None:
            return partial(_below, rule.whole, self._path)
        return rule.last(passed)


def _below(whole: Matches, folder: str, name: str) -> bool:
    return whole(folder + name)


def _always(_name: str) -> bool:
    return True


def _rules(text: str) -> Iterator[IgnoreRule]:
    offset = len(_BOM) if text.startswith(_BOM) else 0
    for row in text[offset:].split("\n"):
        pattern = row.strip(SPACE)
        if pattern and not row.startswith("#"):
            yield read_rule(pattern, Span(offset, offset + len(row.rstrip("\r"))))
        offset += len(row) + 1
