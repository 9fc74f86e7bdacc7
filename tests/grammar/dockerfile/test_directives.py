import pytest

from pybuild.grammar.dockerfile.directives import read_directives
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Span


def _read(text: str) -> list[tuple[str, str]]:
    return [(found.key, found.value) for found in read_directives(text.split("\n"), 0).directives]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# syntax=a:1\n# escape=`\nFROM a", [("syntax", "a:1"), ("escape", "`")]),
        ("#syntax=a", [("syntax", "a")]),
        ("# SynTax = a b  ", [("syntax", "a b")]),
        ("# check=skip=A;error=true", [("check", "skip=A;error=true")]),
        ("  # escape=`", [("escape", "`")]),
        ("#!/x\n# syntax=a\n# escape=`\n# check=b", [("syntax", "a"), ("check", "b")]),
        ("# comment\n# escape=`", []),
        ("\n# escape=`", []),
        ("# other=1\n# escape=`", []),
        ("# escape=", []),
        ("FROM a\n# escape=`", []),
        ("# syntax=a\n#!/x\n# check=b", [("syntax", "a")]),
        ("", []),
    ],
)
def test_directives_end_at_the_first_other_line(text: str, found: list[tuple[str, str]]) -> None:
    assert _read(text) == found


def test_repeated_key_is_refused_where_it_is_repeated() -> None:
    with pytest.raises(DockerfileError, match="only one check parser directive can be used") as caught:
        _read("# check=a\n# CHECK=b")

    assert caught.value.span == Span(10, 19)


@pytest.mark.parametrize("value", ["x", "\\\\", "`\\"])
def test_escape_is_a_backslash_or_a_backtick(value: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        _read(f"# escape={value}")

    assert caught.value.message == f"invalid escape token '{value}' does not match ` or \\"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("// syntax=foo/bar:1 -x\nhello\n", "foo/bar:1 -x"),
        ("#!/usr/bin/env x\n//syntax = foo/bar\n", "foo/bar"),
        ("// check=skip=all\n//Syntax=foo\n", "foo"),
        ('{"syntax": "foo/bar", "a": [1]}', "foo/bar"),
        (' {\n  "a": 1,\n  "syntax": "foo/bar"\n}\n', "foo/bar"),
    ],
)
def test_other_languages_say_theirs_in_their_own_way(text: str, value: str) -> None:
    assert _read(text) == [("syntax", value)]


@pytest.mark.parametrize(
    "text",
    ["// a\n// syntax=b\n", " // syntax=b\n", '{"syntax": 1}', '{"syntax": "b"', "{" * 100_000, '"syntax"', "//"],
)
def test_what_only_looks_like_another_language_says_none(text: str) -> None:
    assert _read(text) == []
