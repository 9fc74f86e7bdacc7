"""The functions of templates give what those of Go's text/template and of Docker give."""

from typing import Any

import pytest

from pybuild.builder.cli.format.template_functions import (
    FUNCTIONS,
    HEADER_FUNCTIONS,
    NO_LIST,
    NO_MAP,
    TemplateRow,
    as_json,
    shown,
)


def call(name: str, *arguments: Any) -> Any:
    return FUNCTIONS[name](*arguments)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "<no value>"),
        (True, "true"),
        (7, "7"),
        (["a", 1, False], "[a 1 false]"),
        ({"b": [1], "a": {"c": None}}, "map[a:map[c:<no value>] b:[1]]"),
        (NO_LIST, "[]"),
        (NO_MAP, "map[]"),
    ],
)
def test_a_value_is_printed_as_go_prints_it(value: Any, text: str) -> None:
    assert shown(value) == text


def test_rows_have_sorted_members_and_characters_of_html_escaped_and_other_objects_have_neither() -> None:
    assert as_json(TemplateRow(b="<&>", a=1)) == r'{"a":1,"b":"\u003c\u0026\u003e"}'
    assert as_json({"b": "<é>", "a": NO_LIST}) == '{"b":"<é>","a":null}'


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("a", "b"), "ab"),
        ((1, 2), "1 2"),
        (("a", 1, 2, "b"), "a1 2b"),
        ((True, "x", None), "truex<no value>"),
        ((), ""),
    ],
)
def test_print_puts_spaces_between_two_values_of_which_neither_is_a_string(
    arguments: tuple[Any, ...], text: str
) -> None:
    assert call("print", *arguments) == text


def test_println_puts_spaces_between_all() -> None:
    assert call("println", "a", 1, "b") == "a 1 b\n"


def test_html_escapes_as_go_does_and_not_as_python_does() -> None:
    assert call("html", "<a b=\"c\" d='e'>&\0") == "&lt;a b=&#34;c&#34; d=&#39;e&#39;&gt;&amp;\ufffd"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ('it\'s "a\\b"', r"it\'s \"a\\b\""),
        ("<b>&=</b>", r"\u003Cb\u003E\u0026\u003D\u003C/b\u003E"),
        ("a\nb\tc\x1b", r"a\u000Ab\u0009c\u001B"),
        ("é 日", "é 日"),
        ("\u200b\x7f", "\\u200B\x7f"),
    ],
)
def test_js_escapes_for_a_script(text: str, escaped: str) -> None:
    assert call("js", text) == escaped


def test_urlquery_escapes_all_but_letters_digits_and_four_marks() -> None:
    assert call("urlquery", "a b/é-._~", 1) == "a+b%2F%C3%A9-._~1"


@pytest.mark.parametrize(
    ("arguments", "part"), [(("abcd",), "abcd"), (("abcd", 1), "bcd"), (("abcd", 1, 3), "bc"), (([1, 2], 2), [])]
)
def test_slice_takes_a_part(arguments: tuple[Any, ...], part: Any) -> None:
    assert call("slice", *arguments) == part


@pytest.mark.parametrize("bounds", [(-1,), (5,), (0, 5), (3, 1)])
def test_slice_refuses_bounds_that_are_not_in_the_value(bounds: tuple[int, ...]) -> None:
    with pytest.raises(LookupError, match="index out of range"):
        call("slice", "abcd", *bounds)


def test_split_by_nothing_gives_each_character() -> None:
    assert call("split", "abc", "") == ["a", "b", "c"]
    assert call("split", "a,b", ",") == ["a", "b"]


@pytest.mark.parametrize(
    ("form", "values", "text"),
    [
        ("%s %v %d%%", ("a", [1, "b"], 3), "a [1 b] 3%"),
        ("%q|%-4s|%5s", ('a"', "b", "c"), r'"a\""|b   |    c'),
        ("%t %.1f %03d", (True, 1.25, 7), "true 1.2 007"),
        ("%s %s", ("a",), "a %!s(MISSING)"),
    ],
)
def test_printf_formats(form: str, values: tuple[Any, ...], text: str) -> None:
    assert call("printf", form, *values) == text


def test_index_goes_down_by_keys_and_a_missing_key_is_an_empty_text() -> None:
    assert call("index", {"a": [{"b": 1}]}, "a", 0, "b") == 1
    assert call("index", {"a": None}, "a", "b") == call("index", {}, "a") == ""
    with pytest.raises(LookupError, match="index out of range: 2"):
        call("index", ["x", "y"], 2)


def test_and_and_or_give_the_value_that_decides() -> None:
    assert (call("and", 1, "", 2), call("and", 1, 2)) == ("", 2)
    assert (call("or", 0, "a", "b"), call("or", 0, "")) == ("a", "")


def test_the_titles_of_a_table_stay_as_they_are() -> None:
    assert HEADER_FUNCTIONS["lower"]("NAME") == HEADER_FUNCTIONS["truncate"]("NAME", 1) == "NAME"
    assert HEADER_FUNCTIONS["upper"] is not FUNCTIONS["upper"]
