import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Scratch
from pybuild.builder.plan.plan import Definition, Plan, Vertex, planned_steps
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Source


def _vertex(name: str, *inputs: int) -> Vertex:
    return Vertex(op=Scratch(), name=name, inputs=inputs)


def test_a_vertex_without_a_name_passes_its_inputs_on_and_each_counts_once() -> None:
    vertices = (_vertex("context"), _vertex("", 0), _vertex("", 1, 0), _vertex("COPY", 2, 1, 0))
    steps = planned_steps(Plan(vertices=vertices))
    assert list(steps) == [0, 3]
    assert steps[3].inputs == (steps[0].id,)


def test_the_same_plan_has_the_same_ids_and_vertices_of_one_name_different_ones() -> None:
    plan = Plan(vertices=(_vertex("same"), _vertex("same"), _vertex("RUN \udcff", 0)))
    assert planned_steps(plan) == planned_steps(plan)
    assert len({step.id for step in planned_steps(plan).values()}) == 3


@pytest.mark.parametrize("error", [BuildError("x"), DockerfileError("x")])
def test_a_failure_takes_the_text_along_that_its_place_is_in(error: BuildError | DockerfileError) -> None:
    with pytest.raises(type(error)) as caught, Definition("a.df", "FROM x").located():
        raise error
    assert caught.value.source == Source("a.df", "FROM x")


def test_a_failure_that_knows_its_text_keeps_it() -> None:
    error = DockerfileError("x")
    error.source = Source("b.df", "")
    with pytest.raises(DockerfileError) as caught, Definition("a.df", "FROM x").located():
        raise error
    assert caught.value.source == Source("b.df", "")
