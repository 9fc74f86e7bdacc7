import pytest

from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.json_text import DOCUMENT_LIMIT, decode, encode


def test_characters_are_escaped_as_go_escapes_them() -> None:
    assert encode({"cmd": 'a && b <c> "d" \u2028 é \x7f'}) == (
        b'{"cmd":"a \\u0026\\u0026 b \\u003cc\\u003e \\"d\\" \\u2028 \xc3\xa9 \x7f"}'
    )


def test_control_characters_are_escaped_as_go_escapes_them() -> None:
    assert encode("\n\r\t\b\f\x00\x1f") == b'"\\n\\r\\t\\b\\f\\u0000\\u001f"'


def test_what_is_not_unicode_becomes_the_replacement_character() -> None:
    assert encode("a\udcffb") == b'"a\\ufffdb"'


def test_reading_gives_back_what_was_written() -> None:
    document = {"a": [1, "<&>", {"b": None}], "c": True}
    assert decode(encode(document), "x") == document


def test_brackets_that_are_many_but_not_deep_are_read() -> None:
    assert decode(b"[" + b'["[[[", {"a\\"[": []}],' * 5000 + b"0]", "x") == [*([["[[[", {'a"[': []}]] * 5000), 0]
    assert decode(b"[" * 500 + b"]" * 500, "x")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[" * 100_000, "x: the document is nested too deeply"),
        (b'{"a":' * 50_000, "x: the document is nested too deeply"),
        (b"[" * 501 + b"]" * 501, "x: the document is nested too deeply"),
        (b'{"a":1,"a":2}', "x: a key occurs twice in one object"),
        (b'{"a":{"b":1,"b":1}}', "x: a key occurs twice in one object"),
        (b'{"a":NaN}', "x: NaN is not JSON"),
        (b'{"a":-Infinity}', "x: -Infinity is not JSON"),
        (b"", "x: is not valid JSON (line 1, column 1)"),
        (b'{"a":1,\n', "x: is not valid JSON (line 2, column 1)"),
        (b"{} {}", "x: is not valid JSON (line 1, column 4)"),
        (b"\xef\xbb\xbf{}", "x: is not valid JSON (it begins with a byte order mark)"),
        (b'{"a":"\xff"}', "x: is not valid JSON (byte 7 is not UTF-8)"),
        (b"1" * 5000, "x: is not valid JSON (a number is too long)"),
        (b" " * (DOCUMENT_LIMIT + 1), f"x: the document is larger than {DOCUMENT_LIMIT} bytes"),
    ],
)
def test_hostile_text_is_refused_with_its_place(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        decode(raw, "x")
    assert str(caught.value).startswith(message)
