import re
import sys
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.ignorefile import IgnoreFile
from pybuild.grammar.source import Span


def _ignored(text: str, *paths: str) -> list[str]:
    rules = IgnoreFile.parse(text)
    return [path for path in paths if rules.ignores(path)]


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a\n", "a", 1),
        ("\n# x\n *.md \n", "x.md", 3),
        ("a\n!a\na/b", "a/b", 3),
        ("a\na/b", "a/b", 1),
        ("*\n!a\na/*.o", "a/x.o", 3),
        ("*\n!a\na/*.o", "b", 1),
        ("*\n!a", "a", None),
        ("b", "a", None),
        ("a\n!*/c\n!a/b", "a/d", 1),
    ],
)
def test_the_rule_that_excludes_a_path_is_known(text: str, path: str, line: int | None) -> None:
    rules = IgnoreFile.parse(text)
    rule = rules.deciding(path)
    assert (rule and rule.number, rules.ignores(path)) == (line, line is not None)


@pytest.mark.parametrize(
    ("pattern", "ignored", "kept"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["ab", "x/a", "b"]),
        ("/a", ["a", "a/b"], ["x/a"]),
        ("a/", ["a", "a/b"], ["x/a"]),
        ("./a//b/../c", ["a/c"], ["a/b"]),
        ("*", ["a", ".a", "a/b"], []),
        ("*.md", ["x.md", ".md", "x.md/y"], ["a/x.md", "x.mdx"]),
        ("*/*.md", ["a/x.md"], ["x.md", "a/b/x.md"]),
        ("a?", ["ab", "ab/c"], ["a", "abc", "a/b"]),
        ("[a-c]", ["b", "b/x"], ["d", "ab"]),
        ("[^a-c]", ["d"], ["b"]),
        ("a\\*", ["a*"], ["ab"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a(b)|{c}+$^", ["a(b)|{c}+$^"], ["ab"]),
        ("**", ["a", "a/b/c"], []),
        ("**/", ["a", "a/b/c"], []),
        ("**/a", ["a", "x/a", "x/y/a", "x/a/b"], ["xa", "x/ya"]),
        ("**a", ["a", "xa", "x/a", "x/ya"], ["ab"]),
        ("**/*.pyc", ["a.pyc", "x/a.pyc", "x/y/a.pyc"], ["a.py", "x/a.py"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab", "x/a/b"]),
        ("a**", ["a", "ab", "a/b", "abc/d"], ["b"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a", "az", "a/bz", "x/a/z"]),
        ("a**/z", ["a/z", "az", "a/b/z"], ["a", "bz"]),
        ("**/a/**", ["a/b", "x/a/b"], ["a", "x/a"]),
        ("**/a/**/b/**/c", ["a/b/c", "x/a/y/b/z/z/c"], ["a/c", "a/b/xc"]),
        ("*a*b*c*d", ["abcd", "xaxbxcxd", "xabcd/e"], ["abc", "a/bcd"]),
        ("../a", [], ["a"]),
        (".", [], ["a"]),
        ("/", [], ["a"]),
    ],
)
def test_pattern_ignores(pattern: str, ignored: list[str], kept: list[str]) -> None:
    assert _ignored(pattern, *ignored, *kept) == ignored


@pytest.mark.parametrize(
    ("text", "ignored", "kept"),
    [
        ("*\n!a", ["b", "b/c"], ["a", "a/b"]),
        ("a\n!a/b", ["a", "a/c"], ["a/b", "a/b/c"]),
        ("a\n!a/b\na/b/c", ["a/b/c"], ["a/b"]),
        ("!a\n*", ["a", "b"], []),
        ("*.md\n!README*.md\nREADME-secret.md", ["x.md", "README-secret.md"], ["README.md"]),
        ("**\n!**/*.go", ["a", "a/b.c"], ["a.go", "a/b.go"]),
        ("a/*\n! a/b ", ["a/c"], ["a", "a/b"]),
        ("a/x\n!a", ["a/x"], ["a", "a/y"]),
        ("a\n!a", [], ["a", "a/b"]),
    ],
)
def test_the_last_line_that_matches_decides(text: str, ignored: list[str], kept: list[str]) -> None:
    assert _ignored(text, *ignored, *kept) == ignored


def test_comments_blank_lines_and_spaces_around_do_not_count() -> None:
    text = "\ufeff# c\r\n\r\n  a  \r\n\t!a/b\r\n #d\n"

    assert _ignored(text, "a", "a/b", "# c", "#d", "d") == ["a", "#d"]


def test_the_context_itself_is_never_ignored() -> None:
    assert _ignored("**\n*\n.", "", ".") == []


def test_directories_and_files_are_treated_alike() -> None:
    rules = IgnoreFile.parse("a/")

    assert rules.ignores("a", is_dir=True)
    assert rules.ignores("a", is_dir=False)


def test_a_file_without_lines_ignores_nothing() -> None:
    assert _ignored("", "a") == []
    assert not IgnoreFile().ignores("a/b")


@pytest.mark.parametrize("line", ["/!a", "./!a", "//!a", "x/../!a"])
def test_a_mark_behind_what_is_cleaned_away_is_one(line: str) -> None:
    assert _ignored(f"*\n{line}\n", "a", "b", "!a") == ["b", "!a"]
    assert _ignored(f"*\n!{line}\n", "a", "!a") == ["a"]
    assert IgnoreFile.of(["*", line]).ignores("a")


@pytest.mark.parametrize("line", ["!", "! ", "!/", "/!", "./!"])
def test_lone_negation_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(DockerfileError, match='illegal exclusion pattern: "!"') as caught:
        IgnoreFile.parse(f"a\n{line}\r\n")

    assert caught.value.span == Span(2, 2 + len(line))


@pytest.mark.parametrize("line", ["[", "a[", "![a", "a\\", "[a-]"])
def test_malformed_pattern_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(DockerfileError, match="syntax error in pattern") as caught:
        IgnoreFile.parse(line)

    assert caught.value.span == Span(0, len(line))


@pytest.mark.parametrize(
    ("text", "directory", "descend"),
    [
        ("a", "a", False),
        ("*\n!a/b/c", "a", True),
        ("*\n!a/b/c", "a/b", True),
        ("*\n!a/b/c", "x", False),
        ("*\n!a/b/c", "a/x", False),
        ("*\n!a*/b", "a", True),
        ("*\n!a*/b", "ax/y", True),
        ("*\n!a*/b", "b", False),
        ("*\n!**/b", "x/y", True),
        ("*\n!a\\*b/c", "a*b", True),
        ("*\n!ab", "a", False),
        ("*\n!a/*/**", "a", True),
        ("*\n!a/*/**", "a/b", False),
        ("*\n!a/*/**\n!x*y", "a/b", True),
        ("*\n!a/*", "a/b", False),
        ("*\n!a/**/*", "a/b", True),
    ],
)
def test_descending_is_worth_while_where_a_negation_may_reach(text: str, directory: str, descend: bool) -> None:
    assert IgnoreFile.parse(text).may_descend(directory) is descend


def test_what_is_below_a_directory_that_is_not_entered_stays_ignored() -> None:
    rules = IgnoreFile.parse("*\n!a/*/**\n!c/*/*")
    assert not rules.ignores("a/b/x")  # for c/* has a wildcard left, so that all is entered
    rules = IgnoreFile.parse("*\n!a/*/**\n!c")
    assert rules.ignores("a/b/x")
    assert not rules.ignores("c/b/x")
    assert not IgnoreFile.of(["*", "!a/*/**"]).ignores("a/b/x")


_pieces = [*"ab*?/", "/", "**", "**/", "/**", "/**/", "*a", "*a*b", "[a]", "[^a]", "\\*"]
_patterns = st.lists(st.sampled_from(_pieces), min_size=1, max_size=6).map("".join)
_lines = st.lists(st.tuples(st.sampled_from(["", "!"]), _patterns).map("".join), max_size=4)
_paths = st.lists(st.text("ab*", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@settings(max_examples=400)
@given(_lines, st.lists(_paths, min_size=1, max_size=3))
def test_ignoring_agrees_with_a_slow_reading_of_the_rules(lines: list[str], paths: list[str]) -> None:
    try:
        rules = IgnoreFile.parse("\n".join(lines))
    except DockerfileError:
        return
    assert [rules.ignores(path) for path in paths] == [_slowly(lines, path) for path in paths]


def test_directories_that_were_forgotten_are_found_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybuild.grammar.ignorefile._MOST_DIRECTORIES", 3)
    rules = IgnoreFile.parse("**/a/**/*.o\n!x/**/keep.o")
    paths = [f"{top}/a/{number}/{name}" for number in range(4) for top in "xy" for name in ("keep.o", "b.o", "b.c")]

    assert [path for path in paths if not rules.ignores(path)] == [
        path for path in paths if path.endswith(".c") or (path[0] == "x" and "keep" in path)
    ]


def _calls(rules: IgnoreFile, paths: list[str]) -> int:
    """Count the calls that it takes to decide about *paths*."""
    count = 0

    def note(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        for path in paths:
            rules.ignores(path)
    finally:
        sys.setprofile(None)
    return count


def test_lines_that_cannot_match_in_a_directory_cost_its_entries_nothing() -> None:
    paths = [f"src/deep/file-{number}.o" for number in range(1000)]
    lines = [f"**/build-{number}/**/*.o" for number in range(300)]
    few, many = (_calls(IgnoreFile.parse("\n".join(some)), paths) for some in (lines[:1], lines))

    # The directories themselves are looked at once.
    assert many - few < 300 * 40


@pytest.mark.parametrize("star", ["*", "**/*"])
def test_many_stars_are_matched_in_one_go(star: str) -> None:
    rules = IgnoreFile.parse("\n".join(f"{star}{'a*' * 40}b{number}" for number in range(200)))

    assert not any(rules.ignores(f"{'a' * 240}/{'a' * 240}b{number}x") for number in range(100))
    assert rules.ignores("a" * 240 + "b7")


def test_odd_lines_take_no_time_that_grows_with_the_ways_through_them() -> None:
    rules = IgnoreFile.parse("a**a**a**a**a**a**a**a**b\n[^x]*[^y]**[^z]*/*[^w]b")

    assert not rules.ignores("/".join(["a" * 200] * 20))
    assert rules.ignores("a/" * 200 + "b")


@settings(max_examples=300)
@given(_lines, _paths)
def test_nothing_is_taken_back_below_a_directory_not_worth_descending(lines: list[str], path: str) -> None:
    try:
        rules = IgnoreFile.parse("\n".join(lines))
    except DockerfileError:
        return
    parents = list(accumulate(path.split("/"), lambda parent, name: f"{parent}/{name}"))[:-1]
    if any(rules.ignores(parent) and not rules.may_descend(parent) for parent in parents):
        assert rules.ignores(path)


def _slowly(lines: list[str], path: str) -> bool:
    """Decide for each parent in turn, each rule a plain regular expression: what moby/patternmatcher documents."""
    hits = [False] * len(lines)
    ignored = False
    for name in accumulate(path.split("/"), lambda parent, child: f"{parent}/{child}"):
        if ignored and not _entered(lines, name.rpartition("/")[0]):
            return True
        ignored = False
        for index, line in enumerate(lines):
            negated = line.startswith("!")
            hits[index] = hits[index] or (negated is ignored and _matches(line.removeprefix("!"), name))
            ignored = not negated if hits[index] else ignored
    return ignored


def _entered(lines: list[str], directory: str) -> bool:
    """Whether the client of BuildKit looks into an ignored *directory* (FilterOpt of tonistiigi/fsutil)."""
    ways = [_cleaned(line[1:]).removesuffix("/**").removesuffix("/*") for line in lines if line.startswith("!")]
    return any(set(way) & set("*?[\\") for way in ways) or any(f"{way}/".startswith(f"{directory}/") for way in ways)


def _cleaned(pattern: str) -> str:
    cleaned = re.sub("/+", "/", pattern)
    return cleaned.removeprefix("/").removesuffix("/") if cleaned != "/" else cleaned


def _matches(pattern: str, path: str) -> bool:
    cleaned = _cleaned(pattern)
    plain_end = cleaned.removeprefix("**")
    if cleaned.startswith("**") and not re.search(r"[*?\[\\]", plain_end):
        return path.endswith(plain_end) or f"/{path}" == plain_end
    regex, position = "", 0
    while position < len(cleaned):
        token = re.compile(r"\*\*/?|\[\^?a\]|\\.|.").match(cleaned, position)
        assert token
        position = token.end()
        if token[0].startswith("**"):
            regex += "(.*/)?" if position < len(cleaned) else ".*"
        else:
            regex += {"*": "[^/]*", "?": "[^/]"}.get(
                token[0], token[0] if token[0][0] in "[\\" else re.escape(token[0])
            )
    return re.fullmatch(regex, path) is not None


def test_patterns_of_a_flag_are_no_lines_of_a_file() -> None:
    rules = IgnoreFile.of(["#a", "  b ", "", "*.md", "!c.md"])
    assert [path for path in ("#a", "b", "x.md", "c.md", "d") if rules.ignores(path)] == ["#a", "b", "x.md"]
    with pytest.raises(DockerfileError, match="illegal exclusion pattern") as caught:
        IgnoreFile.of(["!"])
    assert caught.value.span is None
