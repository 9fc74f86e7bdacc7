"""`frozen` makes what ``dataclass(frozen=True, slots=True, kw_only=True)`` makes."""

import dataclasses
import inspect
import pickle
import pydoc
import subprocess
import sys
from dataclasses import FrozenInstanceError, is_dataclass
from typing import ClassVar

import pytest

from pybuild.builder.request import Resources
from pybuild.runtime.values import field, fields, frozen, is_value, positional, replace


@frozen
class Point:
    """A value with everything that a field can have."""

    x: int
    y: int = 2
    names: list[str] = field(default_factory=list, compare=False)
    notes: list[str] = field(default_factory=list, hash=False)
    secret: str = field(default="", repr=False, metadata={"aside": True})


@frozen
class Other:
    """The same fields."""

    x: int
    y: int = 2


@frozen
class Empty:
    """No fields."""


def test_fields_have_what_was_given_and_defaults_elsewhere() -> None:
    point = Point(x=1, secret="s")
    assert (point.x, point.y, point.names, point.secret) == (1, 2, [], "s")


def test_a_factory_makes_a_default_for_each_value() -> None:
    assert Point(x=1).names is not Point(x=1).names


def test_values_are_equal_by_class_and_by_the_fields_that_count() -> None:
    assert Point(x=1) == Point(x=1, names=["n"])
    assert hash(Point(x=1)) == hash(Point(x=1, names=["n"]))
    assert Point(x=1) != Point(x=1, secret="s")
    assert Point(x=1) != Point(x=1, notes=["n"])
    assert hash(Point(x=1)) == hash(Point(x=1, notes=["n"]))
    assert Other(x=1) != Point(x=1)
    assert Empty() == Empty()
    assert len({Empty(), Empty(), Other(x=1), Other(x=1), Other(x=2)}) == 3


@pytest.mark.parametrize("change", [lambda point: setattr(point, "x", 2), lambda point: delattr(point, "x")])
def test_nothing_can_be_changed(change) -> None:  # type: ignore[no-untyped-def]
    point = Point(x=1)
    with pytest.raises(FrozenInstanceError, match="'x' of Point"):
        change(point)
    assert point.x == 1


def test_there_is_no_room_for_more_than_the_fields() -> None:
    assert not hasattr(Point(x=1), "__dict__")


def test_the_text_of_a_value_leaves_out_what_it_should() -> None:
    assert repr(Point(x=1, secret="s")) == "Point(x=1, y=2, names=[], notes=[])"
    assert repr(Empty()) == "Empty()"


@pytest.mark.parametrize("given", [{}, {"y": 1}, {"x": 1, "z": 2}])
def test_a_field_that_is_missing_or_not_known_is_an_error(given: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"Other: fields missing or not known: [xz]$"):
        Other(**given)


def test_the_functions_for_dataclasses_take_values() -> None:
    assert is_dataclass(Point)
    assert [each.name for each in fields(Point)] == ["x", "y", "names", "notes", "secret"]
    assert fields(Point)[4].metadata["aside"]
    assert replace(Point(x=1, secret="s"), x=5) == Point(x=5, secret="s")


def test_patterns_match_by_field() -> None:
    match Point(x=1):
        case Point(x=1, y=y):
            assert y == 2
        case _:
            pytest.fail("no match")


def test_a_value_crosses_to_another_process_and_is_checked_there() -> None:
    point = Point(x=1, names=["n"], secret="s")
    copied = pickle.loads(pickle.dumps(point))
    assert (copied, copied.names, copied.secret) == (point, ["n"], "s")
    with pytest.raises(FrozenInstanceError):
        copied.x = 2


@positional
class Place:
    """Two fields by place, in the order of their text."""

    row: int
    column: int = 0

    def __lt__(self, other: "Place") -> bool:
        return (self.row, self.column) < (other.row, other.column)


def test_fields_may_be_given_by_their_place() -> None:
    assert Place(1) == Place(row=1) == Place(1, column=0) == Place(1, 0)
    assert min(Place(2), Place(1, 5), Place(1, 3)) == Place(1, 3)
    assert pickle.loads(pickle.dumps(Place(1, 2))) == Place(1, 2)


def test_a_pattern_finds_fields_by_their_place() -> None:
    match Place(1, 2):
        case Place(row, column=column):
            assert (row, column) == (1, 2)


@pytest.mark.parametrize(("given", "named"), [((1, 2, 3), {}), ((1,), {"row": 2}), ((), {}), ((), {"x": 1})])
def test_a_field_by_place_is_given_once(given: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Place: "):
        Place(*given, **named)


def test_a_field_may_be_declared_as_that_of_a_dataclass() -> None:
    @frozen
    class Mixed:
        names: list[str] = dataclasses.field(default_factory=list)
        secret: str = dataclasses.field(default="s", repr=False, compare=False)
        needed: int = dataclasses.field(metadata={"aside": True})

    assert Mixed(needed=1) == Mixed(needed=1, secret="other", names=[])
    assert "secret" not in repr(Mixed(needed=1))
    assert fields(Mixed)[2].metadata["aside"]
    with pytest.raises(TypeError, match="needed"):
        Mixed()


def test_a_class_variable_is_no_field() -> None:
    @frozen
    class Counted:
        total: ClassVar[int] = 3
        own: int = 1

    assert [each.name for each in fields(Counted)] == ["own"]
    assert Counted.total == Counted(own=2).total == 3


def test_values_are_told_from_their_classes_and_from_other_things() -> None:
    assert is_value(Point(x=1))
    assert not is_value(Point)
    assert not is_value(1)


def test_the_functions_of_dataclasses_take_values_as_well() -> None:
    point = dataclasses.replace(Point(x=1, secret="s"), x=5)
    assert point == Point(x=5, secret="s")
    assert dataclasses.asdict(point)["x"] == 5
    assert [each.name for each in dataclasses.fields(point)] == [each.name for each in fields(point)]
    assert dataclasses.fields(Point)[4].metadata["aside"]


def test_dataclasses_are_taken_for_values() -> None:
    @dataclasses.dataclass(frozen=True)
    class Plain:
        one: int
        other: int = 2

    assert [each.name for each in fields(Plain)] == ["one", "other"]
    assert replace(Plain(1), other=3) == Plain(1, 3)
    with pytest.raises(TypeError):
        fields(1)


def test_to_define_values_loads_neither_dataclasses_nor_inspect() -> None:
    program = "import sys, pybuild.builder.plan.ops; print({'dataclasses', 'inspect'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_help_shows_the_methods_by_name_and_what_is_said_of_fields() -> None:
    text = pydoc.plain(pydoc.render_doc(Resources))
    assert "lambda" not in text
    assert "_refuse" not in text
    for name in ("__init__", "__eq__", "__hash__", "__repr__", "__reduce__", "__setattr__", "__delattr__"):
        method = getattr(Resources, name)
        assert (method.__name__, bool(method.__doc__)) == (name, True)
    assert " memory_swap\n |      Memory and swap together, -1 for no limit.\n" in text
    assert " cgroup_parent\n |      Path of the parent cgroup" in text
    assert inspect.getdoc(inspect.getattr_static(Resources, "shm_size")) in {"", None}


def test_a_value_without_source_has_no_texts() -> None:
    made: dict[str, type] = {}
    exec("class Made:\n    x: int\n    'text'", made)
    assert inspect.getdoc(frozen(made["Made"]).__dict__["x"]) in {"", None}
