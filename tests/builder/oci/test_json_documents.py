from collections.abc import Callable

import pytest

from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT, Fields, decode, encode, parse_object, parse_objects

FIELDS = Fields("doc", {"n": 3, "s": "x", "b": True, "l": ["a", 1], "o": {"k": 1}, "os": [{"k": 1}, 2], "null": None})


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


@pytest.mark.parametrize(
    ("access", "message"),
    [
        (lambda f: f.text("n"), "doc.n: expected string"),
        (lambda f: f.integer("s"), "doc.s: expected int"),
        (lambda f: f.integer("b"), "doc.b: expected int"),
        (lambda f: f.flag("n"), "doc.n: expected bool"),
        (lambda f: f.texts("l"), "doc.l[1]: expected string"),
        (lambda f: f.texts("s"), "doc.s: expected list"),
        (lambda f: f.text_map("o"), "doc.o['k']: expected string"),
        (lambda f: f.nested("l"), "doc.l: expected object"),
        (lambda f: f.objects("os"), "doc.os[1]: expected object"),
        (lambda f: f.text("gone", required=True), "doc.gone: expected string, found nothing"),
        (lambda f: f.text("null", required=True), "doc.null: expected string, found nothing"),
        (lambda f: f.required_nested("gone"), "doc.gone: expected object, found nothing"),
    ],
)
def test_a_wrong_member_is_named_with_its_place(access: Callable[[Fields], object], message: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        access(FIELDS)
    assert str(caught.value) == message


def test_null_and_absent_are_the_same() -> None:
    for key in ("null", "gone"):
        assert FIELDS.text(key) == ""
        assert FIELDS.integer(key) == 0
        assert FIELDS.texts(key) is None
        assert FIELDS.nested(key) is None
        assert FIELDS.objects(key) == ()
        assert not FIELDS.has(key)


def test_nested_places_are_joined() -> None:
    with pytest.raises(InvalidImage, match=r"^manifest\.layers\[1\]\.size: expected int$"):
        parse_object(b'{"layers":[{"size":1},{"size":"2"}]}', "manifest").objects("layers")[1].integer("size")


def test_the_document_itself_must_have_the_right_shape() -> None:
    with pytest.raises(InvalidImage, match=r"^x: expected object$"):
        parse_object(b"[]", "x")
    with pytest.raises(InvalidImage, match=r"^x\[0\]: expected object$"):
        parse_objects(b"[1]", "x")


@pytest.mark.parametrize(
    "raw", [rb'{"a":"\ud800"}', rb'{"a":["\udcff"]}', rb'{"a":{"\ud800":"x"}}', rb'{"a":{"x":"\ud800"}}']
)
def test_half_a_surrogate_pair_is_refused(raw: bytes) -> None:
    fields = parse_object(raw, "x")
    for access in (fields.text, fields.texts, fields.text_map):
        with pytest.raises(InvalidImage):
            access("a")
