import re
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammar.errors import DockerfileError
from grammar.ignorefile import IgnoreFile
from grammar.source import Span


def _ignored(text: str, *paths: str) -> list[str]:
    rules = IgnoreFile.parse(text)
    return [path for path in paths if rules.ignores(path)]


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


def test_folders_and_files_are_treated_alike() -> None:
    rules = IgnoreFile.parse("a/")

    assert rules.ignores("a", is_dir=True)
    assert rules.ignores("a", is_dir=False)


def test_a_file_without_lines_ignores_nothing() -> None:
    assert _ignored("", "a") == []
    assert not IgnoreFile().ignores("a/b")


@pytest.mark.parametrize("line", ["!", "! ", "!/"])
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
    ("text", "folder", "descend"),
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
    ],
)
def test_descending_is_worth_while_where_a_negation_may_reach(text: str, folder: str, descend: bool) -> None:
    assert IgnoreFile.parse(text).may_descend(folder) is descend


_patterns = st.lists(st.sampled_from([*"ab*?/", "**", "**/", "/**", "[a]", "[^a]", "\\*"]), min_size=1, max_size=5).map(
    "".join
)
_lines = st.lists(st.tuples(st.sampled_from(["", "!"]), _patterns).map("".join), max_size=4)
_paths = st.lists(st.text("ab*", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@settings(max_examples=400)
@given(_lines, _paths)
def test_ignoring_agrees_with_a_slow_reading_of_the_rules(lines: list[str], path: str) -> None:
    try:
        rules = IgnoreFile.parse("\n".join(lines))
    except DockerfileError:
        return
    assert rules.ignores(path) is _slowly(lines, path)


@settings(max_examples=300)
@given(_lines, _paths)
def test_nothing_is_taken_back_below_a_folder_not_worth_descending(lines: list[str], path: str) -> None:
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
        ignored = False
        for index, line in enumerate(lines):
            negated = line.startswith("!")
            hits[index] = hits[index] or (negated is ignored and _matches(line.removeprefix("!"), name))
            ignored = not negated if hits[index] else ignored
    return ignored


def _matches(pattern: str, path: str) -> bool:
    cleaned = re.sub("/+", "/", pattern)
    cleaned = cleaned.removeprefix("/").removesuffix("/") if cleaned != "/" else cleaned
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
