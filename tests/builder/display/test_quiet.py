"""A display that shows only the log of the step that failed."""

from io import StringIO

from pybuild.builder.display.quiet import QuietDisplay
from pybuild.builder.progress import StepFinished, StepOutput, StepStarted


def shown(*events: StepStarted | StepOutput | StepFinished) -> str:
    stream = StringIO()
    display = QuietDisplay(stream)
    for event in events:
        display(event)
    assert stream.getvalue() == ""
    display.close()
    return stream.getvalue()


def begun(step: int) -> StepStarted:
    return StepStarted(step=step, name=f"RUN {step}", at=1.0)


def printed(step: int, text: bytes) -> StepOutput:
    return StepOutput(step=step, stream=1, data=text, at=1.5)


def test_nothing_is_shown_of_steps_that_succeed() -> None:
    assert shown(begun(1), printed(1, b"text\n"), StepFinished(step=1, at=2.0)) == ""


def test_the_log_of_a_step_that_fails_is_shown_at_the_end() -> None:
    found = shown(
        begun(1),
        begun(2),
        printed(1, b"mine\n"),
        printed(2, b"other\n"),
        StepFinished(step=1, error="exit code: 1", at=2.0),
        StepFinished(step=2, cancelled=True, at=2.0),
    )
    assert found == "------\n > RUN 1:\n0.500 mine\n------\n"


def test_a_step_that_fails_without_output_shows_nothing() -> None:
    assert shown(begun(1), StepFinished(step=1, error="no", at=2.0)) == ""


def test_output_of_a_step_that_never_began_is_ignored() -> None:
    assert shown(printed(3, b"text\n"), StepFinished(step=3, error="no", at=2.0)) == ""


def test_the_logs_of_two_steps_that_fail_follow_each_other() -> None:
    found = shown(
        begun(1),
        begun(2),
        printed(1, b"one\n"),
        printed(2, b"two\n"),
        StepFinished(step=2, error="no", at=2.0),
        StepFinished(step=1, error="no", at=2.0),
    )
    assert found == "------\n > RUN 2:\n0.500 two\n------\n------\n > RUN 1:\n0.500 one\n------\n"
