from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.content import layer_stack
from pybuild.builder.content.layer_stack import LayerStack, stack_of
from pybuild.builder.store.database import Database

LAYERS = {
    7: {"": "directory", "a": "file", "d": "directory"},
    8: {"": "implied", "d": "directory", "d/b": "file"},
    9: {"": "implied", "d": "whiteout", "a": "file"},
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "db")
    for number, paths in LAYERS.items():
        rows = [(number, path.encode(), kind, 0, 0, 0, 0, b"") for path, kind in paths.items()]
        opened.run_all("REPLACE INTO layer_paths VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    yield opened
    opened.close()


def grown(database: Database, count: int = 4) -> LayerStack:
    """A new stack of layer 6, whose paths are not known, and those above, each added by a step of its own."""
    database.found().clear()
    stacks = [stack_of("wxyz"[:end], lambda place: 6 + place, database) for end in range(1, count + 1)]
    assert all(stack is stacks[0] for stack in stacks)
    return stacks[-1]


@pytest.mark.parametrize(
    ("path", "others", "first", "expected"),
    [
        ("a", [], 0, [9, 7, 6]),
        ("a", [], 2, [9]),
        ("new", ["", "d"], 0, [9, 6]),
        ("new", [""], 1, []),
        ("d/b", ["d", ""], 1, [9, 8]),
        ("d", [], 1, [9, 8, 7]),
    ],
)
def test_layers_that_may_matter_from_the_top(
    database: Database, path: str, others: list[str], first: int, expected: list[int]
) -> None:
    stack = grown(database)
    assert stack.layers(path.encode(), [other.encode() for other in others], first, 4) == expected


def test_a_tree_sees_no_layer_above_its_own(database: Database) -> None:
    grown(database)
    below = stack_of("wxy", lambda place: 6 + place, database)
    assert below.layers(b"a", [b"d"], 0, 3) == [7, 6]


def test_a_stage_that_goes_on_from_the_middle_has_a_stack_of_its_own(database: Database) -> None:
    first = grown(database)
    second = stack_of("wxyo", lambda place: (6, 7, 8, 7)[place], database)
    assert second is not first
    assert second.layers(b"a", [], 3, 4) == [7]
    assert first.layers(b"a", [], 3, 4) == [9]
    assert stack_of("wxyop", lambda place: (6, 7, 8, 7, 9)[place], database) is second


@pytest.mark.parametrize("limit", ["_MOST_OF_LAYER", "_MOST"])
def test_the_database_is_asked_about_layers_with_too_many_paths(
    database: Database, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(layer_stack, limit, 2)
    assert grown(database).layers(b"nowhere", [], 0, 4)[-1] == 6
    assert 9 in grown(database).layers(b"nowhere", [], 0, 4)


def test_steps_read_the_layers_below_them_a_few_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_stack, "_READ_AT_ONCE", 2)
    numbers = [6, 7, 6, 8, 9, 7, 8, 9]
    stack = LayerStack("abcde", numbers[:5])
    asked = []
    for end in range(6, 9):
        assert stack.grow("abcdefgh"[:end], lambda end=end: numbers[end - 1], database)
        asked.append((stack.layers(b"new", [], 1, end), stack.layers(b"a", [b"d"], 0, end)))
    # Layer 6 has no paths in the database, so that it is asked about as before.
    assert asked == [
        ([6, 7], [7, 9, 6, 7, 6]),
        ([6], [7, 9, 6, 7, 6]),
        ([6], [9, 7, 9, 6, 7, 6]),
    ]
    assert stack.layers(b"a", [], 0, 3) == stack.layers(b"new", [b"a"], 0, 3) == [6, 7, 6]


def test_what_was_found_holds_for_the_tree_and_those_above_it(database: Database) -> None:
    stack = grown(database)
    assert stack.found("a", 4) == (-1, None)
    stack.note("a", 2, "two")
    stack.note("a", 0, "none")
    stack.note("a", 3, "three")
    assert [stack.found("a", end) for end in range(5)] == [
        (-1, None),
        (0, "none"),
        (0, "none"),
        (2, "two"),
        (3, "three"),
    ]
    other = stack_of("wxyo", lambda place: (6, 7, 8, 7)[place], database)
    assert other.found("a", 4) == (2, "two")
    other.note("a", 3, "another")
    assert stack.found("a", 4) == (3, "three")


def test_notes_take_no_more_memory_than_they_may(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_stack, "_MOST_FOUND", 3)
    stack = grown(database)
    for number in range(10):
        stack.note(str(number), 3, number)
    assert [number for number in range(10) if stack.found(str(number), 4)[0] == 3] == [9]
