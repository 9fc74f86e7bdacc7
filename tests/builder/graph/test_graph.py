from pybuild.builder.plan.ops import Base, Copy, Local, Pick, Run, Scratch
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


def test_the_same_text_gives_the_same_plan():
    text = "FROM base AS a\nRUN x\nFROM base AS b\nRUN y\nFROM scratch\nCOPY --from=b / /\nCOPY --from=a / /\n"
    assert plan_of(text) == plan_of(text)


def test_the_context_is_one_vertex_however_often_it_is_used():
    plan = plan_of("FROM base\nCOPY a /\nRUN x\nCOPY b /\n")
    assert sum(isinstance(vertex.op, Local) for vertex in plan.vertices) == 1
    assert sum(isinstance(vertex.op, Run) for vertex in plan.vertices) == 1
