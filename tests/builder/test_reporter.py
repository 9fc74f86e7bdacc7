import pytest

from pybuild.builder.cli.failures import failed_code
from pybuild.builder.errors import BuildError, Cancelled, StepFailed
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import LayerError, RegistryError
from pybuild.builder.plan.ops import Base, Git, Scratch
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.builder.progress import Event, LayerMade, StepFinished, StepOutput, StepsPlanned, StepStarted, StepStatus
from pybuild.builder.reporter import Reporter, Steps
from pybuild.builder.store.cache import BuiltLayer
from pybuild.runtime.errors import SandboxError, SandboxUnavailable, TooManyLayers


@pytest.fixture
def events():
    return []


@pytest.fixture
def steps(events):
    names = ("first", "", "third")
    vertices = tuple(Vertex(op=Scratch(), name=name, lines=(n, n)) for n, name in enumerate(names, 1))
    return Steps(Plan(vertices=vertices), Reporter(events.append))


def told(events):
    return [(type(event).__name__, event.step) for event in events]


def test_what_is_made_to_be_mounted_fails_for_the_step_that_mounts_it():
    users = (Vertex(op=Scratch()), Vertex(op=Scratch(), inputs=(0,)), Vertex(op=Scratch(), name="other"))
    mounting = Vertex(op=Scratch(), name="RUN", inputs=(2, 1), lines=(3, 4))
    failed = Steps(Plan(vertices=(*users, mounting)), Reporter(lambda _: None)).failed(0, BuildError("missing"))
    assert (failed.step, failed.lines) == ("RUN", (3, 4))


def test_a_source_that_fails_stands_where_it_is_added():
    source = Vertex(op=Git(commit="1" * 40), name="[internal] load git source x")
    other, copy = (Vertex(op=Scratch(), inputs=inputs, lines=lines) for inputs, lines in (((), (2, 2)), ((0,), (3, 4))))
    failed = Steps(Plan(vertices=(source, other, copy)), Reporter(lambda _: None)).failed(0, BuildError("no"))
    assert (failed.step, failed.lines) == ("[internal] load git source x", (3, 4))


@pytest.mark.parametrize(("lines", "base"), [((5, 5), "docker.io/library/go:1"), ((1, 1), "build")])
def test_a_trigger_that_fails_is_named_with_the_image_or_stage_that_brought_it(lines, base):
    below = Vertex(op=Base(diff_ids=(), reference="docker.io/library/go:1"), lines=lines, stages=("build", "x"))
    hidden = Vertex(op=Scratch())
    copy = Vertex(op=Scratch(), inputs=(0,), name="[x 2/3] ONBUILD COPY go.mod .", lines=(5, 5))
    run = Vertex(op=Scratch(), inputs=(2, 1), name="[x 3/3] ONBUILD RUN go", lines=(5, 5))
    failing = Steps(Plan(vertices=(below, hidden, copy, run)), Reporter(lambda _: None)).failed
    assert (
        failing(2, BuildError("a", hint="b")).hint == f'it is the ONBUILD trigger "COPY go.mod ." of the base {base}; b'
    )
    # The hidden copy of the context is blamed on the RUN that mounts it.
    assert failing(1, BuildError("a")).hint == f'it is the ONBUILD trigger "RUN go" of the base {base}'


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        (SandboxError("mount proc", "/proc", 1), "mount proc /proc: Operation not permitted", 3),
        (SandboxUnavailable("no namespaces", "allow them"), "no namespaces", 3),
        (OSError(28, "No space left on device", "/store/x"), "/store/x: no space left on device", 3),
        (TooManyLayers("more than 500"), "more than 500", 1),
        (LayerError("cannot be stored"), "cannot be stored", 1),
        (RegistryError("blob: status 500"), "blob: status 500", 4),
        (BuildError("wrong"), "wrong", 1),
    ],
)
def test_whatever_stops_a_step_is_told_with_its_place(steps, error, text, code):
    with pytest.raises(StepFailed) as caught, steps.running(2):
        raise error
    assert (caught.value.step, caught.value.lines, caught.value.message) == ("third", (3, 3), text)
    assert caught.value.hint == getattr(error, "hint", "")
    assert failed_code(caught.value) == code


def test_what_is_no_failure_of_a_step_stays_what_it_is(steps):
    for error in (BrokenPipeError(32, "Broken pipe"), KeyboardInterrupt(), ValueError("a bug")):
        with pytest.raises(type(error)), steps.running(0):
            raise error


def test_steps_are_numbered_as_they_appear(steps, events):
    with steps.running(2):
        pass
    steps.report_cached(0)
    assert [(event.step, event.name) for event in events if isinstance(event, StepStarted)] == [
        (1, "third"),
        (2, "first"),
    ]
    assert [event.cached for event in events if isinstance(event, StepFinished)] == [False, True]


def test_a_vertex_without_a_name_is_not_shown(steps, events):
    steps.report_cached(1)
    with steps.running(1):
        steps.output(1)
    assert events == []


def test_a_step_begins_and_ends_once(steps, events):
    for _ in range(2):
        with steps.running(0):
            pass
        steps.report_cached(0)
    assert told(events) == [("StepStarted", 1), ("StepFinished", 1)]


def test_a_failure_names_the_step_its_lines_and_its_last_output(steps, events):
    error = BuildError("went wrong", hint="do better")
    steps.output(2)(1, b"".join(b"%d\n" % number for number in range(30)))
    steps.output(2)(2, b"no end of line")
    with pytest.raises(StepFailed) as caught, steps.running(2):
        raise error
    failed = caught.value
    assert (failed.message, failed.hint, failed.step, failed.lines) == ("went wrong", "do better", "third", (3, 3))
    assert [line.split(" ", 1)[1] for line in failed.output] == [*map(str, range(21, 30)), "no end of line"]
    assert failed.__cause__ is error
    assert events[-1].error == "went wrong"


def test_an_interruption_is_no_failure(steps, events):
    with pytest.raises(Cancelled), steps.running(0):
        raise Cancelled("stopped")
    assert (events[-1].cancelled, events[-1].error) == (True, "")


def test_any_other_error_goes_through_as_it_is(steps, events):
    with pytest.raises(MemoryError, match="none left"), steps.running(0):
        raise MemoryError("none left")
    assert events[-1].error == "none left"


def test_output_and_progress_belong_to_their_step(steps, events):
    with steps.running(0):
        steps.output(0)(2, b"x")
        steps.status(0)("layer", 1, 2)
        steps.status(0)("layer", 2, 2)
    output = next(event for event in events if isinstance(event, StepOutput))
    assert (output.step, output.stream, output.data) == (1, 2, b"x")
    assert [event.done for event in events if isinstance(event, StepStatus)] == [False, True]


def test_only_the_end_of_long_output_is_kept(steps):
    for number in range(5000):
        steps.output(0)(1, b"%d %s\n" % (number, b"x" * 100))
    with pytest.raises(StepFailed) as caught, steps.running(0):
        raise BuildError("x")
    assert len(caught.value.output) == 10
    assert caught.value.output[-1].split(" ")[1] == "4999"


def test_the_number_of_steps_is_told_with_the_plan_and_grows_by_what_comes_unplanned() -> None:
    events: list[Event] = []
    reporter = Reporter(events.append)
    with reporter.step("load"):
        reporter.expect(Plan(vertices=(Vertex(op=Scratch()), Vertex(op=Scratch(), name="FROM"))), 1)
    with reporter.unplanned("unpacking"):
        pass
    assert [event.total for event in events if isinstance(event, StepsPlanned)] == [3, 4]


def test_the_plan_names_its_steps_with_their_inputs_and_an_unnamed_one_stands_for_its_own(events):
    vertices = (
        Vertex(op=Scratch(), name="context"),
        Vertex(op=Scratch(), name="base"),
        Vertex(op=Scratch(), inputs=(1, 0)),
        Vertex(op=Scratch(), name="RUN", inputs=(1, 2)),
    )
    plan = Plan(vertices=vertices)
    reporter = Reporter(events.append)
    reporter.expect(plan, 1)
    planned = events[0]
    context, base, run = planned.steps
    assert (planned.total, [step.name for step in planned.steps]) == (4, ["context", "base", "RUN"])
    assert (context.inputs, base.inputs, run.inputs) == ((), (), (base.id, context.id))
    assert len({context.id, base.id, run.id}) == 3
    Steps(plan, reporter).report_cached(3)
    assert (events[1].id, events[1].inputs) == (run.id, run.inputs)


def test_steps_of_one_name_have_ids_of_their_own_and_the_builders_own_have_some(events):
    reporter = Reporter(events.append)
    reporter.expect(Plan(vertices=(Vertex(op=Scratch(), name="same"), Vertex(op=Scratch(), name="same"))), 0)
    with reporter.step("same"):
        pass
    assert len({*(step.id for step in events[0].steps), events[1].id, ""}) == 4


A, B = Digest.of(b"a"), Digest.of(b"b")


def test_the_end_of_a_step_has_its_layer_unless_it_failed(steps, events):
    with steps.running(0):
        steps.note_layer(0, BuiltLayer(B, A, 3, "tar"))
    with pytest.raises(StepFailed), steps.running(2):
        raise BuildError("no")
    ends = [event for event in events if isinstance(event, StepFinished)]
    assert [event.layer for event in ends] == [LayerMade(digest=str(A), diff_id=str(B), size=3), None]
