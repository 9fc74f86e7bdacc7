import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.plan.ops import Base, Copy, Exact, Local, Pick, Run, Scratch
from tests.helpers.resolving import BASE, DIFF_ID, base_config, plan_of


def shapes(plan):
    return [(type(vertex.op).__name__, vertex.inputs) for vertex in plan.vertices]


def test_inputs_come_before_what_uses_them_and_the_target_is_last():
    plan = plan_of("FROM base AS a\nRUN x\nFROM scratch\nCOPY --from=a x /\nCOPY y /\n")
    assert shapes(plan) == [
        ("Base", ()),
        ("Run", (0,)),
        ("Scratch", ()),
        ("Copy", (2, 1)),
        ("Local", ()),
        ("Copy", (3, 4)),
    ]


def test_a_base_is_pinned_and_shown_as_its_from():
    vertex = plan_of("FROM base\n").vertices[0]
    assert isinstance(vertex.op, Base)
    assert (vertex.op.reference, vertex.op.diff_ids) == (BASE, (DIFF_ID,))
    assert (vertex.name, vertex.lines) == ("[1/1] FROM docker.io/library/base:latest", (1, 1))


def test_vertices_that_do_the_same_are_one():
    plan = plan_of(
        "FROM base AS a\nRUN x\nFROM base AS b\nRUN x\nFROM scratch\nCOPY --from=a /1 /\nCOPY --from=b /2 /\n"
    )
    assert [name for name, _ in shapes(plan)] == ["Base", "Run", "Scratch", "Copy", "Copy"]
    assert [vertex.inputs[1] for vertex in plan.vertices[3:]] == [1, 1]


def test_a_stage_that_nothing_uses_is_no_part_of_the_plan():
    assert shapes(plan_of("FROM base AS a\nRUN x\nFROM scratch\nCOPY f /\n")) == [
        ("Scratch", ()),
        ("Local", ()),
        ("Copy", (0, 1)),
    ]


def test_a_stage_without_steps_is_what_it_starts_from():
    assert [vertex.op for vertex in plan_of("FROM scratch AS a\nFROM a\nENV x=1\n").vertices] == [Scratch()]


def test_an_image_can_be_a_source_without_being_a_base():
    other = "docker.io/library/other:latest"
    plan = plan_of("FROM scratch\nCOPY --from=other /x /\n", {other: base_config()})
    assert shapes(plan) == [("Scratch", ()), ("Base", ()), ("Copy", (0, 1))]
    assert plan.vertices[1].name == f"FROM {other}"


def test_a_run_sees_a_copy_of_what_it_mounts_from_the_context():
    plan = plan_of("FROM base\nRUN --mount=source=s,target=/a --mount=source=t,target=/b x\n")
    assert shapes(plan) == [
        ("Base", ()),
        ("Local", ()),
        ("Scratch", ()),
        ("Copy", (2, 1)),
        ("Copy", (3, 1)),
        ("Run", (0, 4)),
    ]
    copies = [vertex.op for vertex in plan.vertices if isinstance(vertex.op, Copy)]
    assert copies == [
        Copy(sources=(Pick(path="s", input=1),), destination="/s"),
        Copy(sources=(Pick(path="t", input=1),), destination="/t"),
    ]


def test_what_a_run_mounts_from_the_context_has_a_name_even_where_it_looks_like_a_pattern():
    plan = plan_of("FROM base\nRUN --mount=source=app/[slug],target=/a x\n")
    [copied] = [vertex.op for vertex in plan.vertices if isinstance(vertex.op, Copy)]
    assert copied == Copy(sources=(Exact(path="app/[slug]", input=1),), destination="/app/[slug]")


def test_the_same_text_gives_the_same_plan():
    text = "FROM base AS a\nRUN x\nFROM base AS b\nRUN y\nFROM scratch\nCOPY --from=b / /\nCOPY --from=a / /\n"
    assert plan_of(text) == plan_of(text)


def test_the_context_is_one_vertex_however_often_it_is_used():
    plan = plan_of("FROM base\nCOPY a /\nRUN x\nCOPY b /\n")
    assert sum(isinstance(vertex.op, Local) for vertex in plan.vertices) == 1
    assert sum(isinstance(vertex.op, Run) for vertex in plan.vertices) == 1


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=8))
def test_a_plan_has_what_its_target_needs_and_nothing_else_inputs_first(stages):
    """Each stage begins with the one of its first number, if that is above it, and copies from those of the others."""
    lines = []
    for number, wanted in enumerate(stages):
        base, *copied = [other for other in wanted if other < number] or [-1]
        lines.append(f"FROM {f's{base}' if base >= 0 else 'base'} AS s{number}")
        lines += [f"COPY --from=s{other} /{other} /{number}/" for other in copied]
        lines.append(f"RUN step {number % 3}")
    vertices = plan_of("\n".join(lines) + "\n").vertices
    graph = nx.DiGraph((source, index) for index, vertex in enumerate(vertices) for source in vertex.inputs)
    assert nx.ancestors(graph, len(vertices) - 1) == set(range(len(vertices) - 1))
    assert list(nx.lexicographical_topological_sort(graph)) == list(range(len(vertices)))
    assert len({(vertex.op, vertex.inputs) for vertex in vertices}) == len(vertices)
