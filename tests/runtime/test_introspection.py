"""What help() and messages show of values."""

import dataclasses
import inspect
from pathlib import Path

import pytest

from pybuild.runtime.introspection import annotation_text, field_doc, type_text
from pybuild.runtime.values import field, frozen, positional


@frozen
class Lamp:
    """A lamp."""

    name: str
    watts: int | None = None
    """Electric power."""
    tags: tuple[str, ...] = ()
    made: float = field(default=0.0, compare=False)


@positional
class Point:
    """A point."""

    x: int
    y: int = 0


def test_the_signature_is_that_of_a_call() -> None:
    assert str(inspect.signature(Lamp)) == (
        "(*, name: str, watts: int | None = None, tags: tuple[str, ...] = (), made: float = 0.0)"
    )
    assert str(inspect.signature(Point)) == "(x: int, y: int = 0)"


def test_dataclasses_sees_the_fields() -> None:
    found = {each.name: each.compare for each in dataclasses.fields(Lamp)}  # type: ignore[arg-type]
    assert found == {"name": True, "watts": True, "tags": True, "made": False}


@pytest.mark.parametrize(("name", "doc"), [("watts", "Electric power."), ("name", ""), ("nothing", "")])
def test_the_text_below_a_field_is_its_documentation(name: str, doc: str) -> None:
    assert field_doc(Lamp, name) == doc


def test_a_class_without_source_has_no_documentation_of_fields() -> None:
    assert field_doc(type("Made", (), {}), "x") == ""


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (int, "int"),
        (int | None, "int or None"),
        (tuple[str, ...], "tuple[str, ...]"),
        (frozenset[str] | Path, "frozenset[str] or Path"),
        (tuple[tuple[str, int], ...], "tuple[tuple[str, int], ...]"),
    ],
)
def test_an_annotation_is_shown_as_one_writes_it(wanted: object, text: str) -> None:
    assert annotation_text(wanted) == text


@pytest.mark.parametrize(
    ("item", "text"),
    [("a", "str"), (None, "NoneType"), ((), "tuple[]"), (("a", (1, b"")), "tuple[str, tuple[int, bytes]]")],
)
def test_the_type_of_a_value_shows_what_a_tuple_holds(item: object, text: str) -> None:
    assert type_text(item) == text
