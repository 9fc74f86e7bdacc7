from collections.abc import Callable

import pytest

from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.fields import Fields, parse_object, parse_objects

FIELDS = Fields("doc", {"n": 3, "s": "x", "b": True, "l": ["a", 1], "o": {"k": 1}, "os": [{"k": 1}, 2], "null": None})


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
        (lambda f: f.digest("s"), "doc.s: invalid digest 'x'"),
        (lambda f: f.digests("l"), "doc.l[1]: expected string"),
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
