import pytest

from builder.order import needed_in_order
from tests.helpers.resolving import plan_of


def test_what_the_target_does_not_need_is_left_out():
    inputs = {"a": (), "b": ("a",), "c": ("a",), "d": ("c",)}
    assert needed_in_order(inputs, "d") == ["a", "c", "d"]


def test_where_the_graph_leaves_it_free_the_order_is_that_of_writing():
    inputs = {"a": (), "b": (), "c": (), "d": ("c", "a", "b")}
    assert needed_in_order(inputs, "d") == ["a", "b", "c", "d"]


def test_an_input_comes_first_even_when_it_is_written_later():
    assert needed_in_order({"a": ("b",), "b": ()}, "a") == ["b", "a"]


@pytest.mark.parametrize(
    "text",
    [
        "FROM base\n",
        "FROM base\nCOPY a /\nRUN x\nCOPY b /\nRUN x\nWORKDIR /w\nWORKDIR /w\n",
        "FROM base\nRUN --mount=source=s,target=/a --mount=source=t,target=/b x\nRUN --mount=target=/c x\n",
        "FROM base\nRUN --mount=type=cache,target=/c x\nCOPY <<EOF /f\ntext\nEOF\nRUN --mount=type=tmpfs,target=/c x\n",
    ],
)
def test_a_stage_alone_is_written_in_the_order_that_the_graph_gives(text):
    vertices = plan_of(text).vertices
    inputs = {str(place): tuple(map(str, vertex.inputs)) for place, vertex in enumerate(vertices)}
    assert needed_in_order(inputs, str(len(vertices) - 1)) == list(inputs)
